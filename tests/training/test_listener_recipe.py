"""What a listener is taught is there, and that it learns it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soloist.separators.listener import Listener, load_listener, spectrum, to_checkpoint
from soloist.separators.yamnet import BINS, FRAMES, Yamnet
from soloist.training.recipes import RECIPES
from soloist.training.settings import read_settings
from soloist.training.trainer import Trainer, Watch

pytestmark = [
    pytest.mark.filterwarnings("default"),  # other people's, of CPUs that are idle
    pytest.mark.usefixtures("letters"),
]

SETTINGS = """
manifest = "manifest.csv"
seconds = 1.0
patches = 2
workers = 0
batch = 4
warm_up = 1
cool_down = 1
rate = 0.002
average = 0.5
"""


def made(sounds: Path, top: str, tables: str = "[scenes]\nsounds = 2\n") -> Any:
    path = sounds / "run.toml"
    path.write_text(top + SETTINGS + tables)
    named = RECIPES["listener"]
    return named.make(read_settings(path, named.settings))


def batch_of(recipe: Any, count: int) -> dict[str, torch.Tensor]:
    examples = [recipe.examples[index] for index in range(count)]
    return {key: torch.from_numpy(np.stack([one[key] for one in examples])) for key in examples[0]}


def test_it_learns_a_batch(sounds: Path) -> None:
    recipe = made(sounds, "steps = 1\n")
    batch = batch_of(recipe, 4)
    (optimiser,) = recipe.optimisers()
    losses = []
    for _ in range(40):
        torch.manual_seed(0)
        loss = recipe(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def test_a_sound_is_there_where_it_has_a_twentieth_of_the_energy(
    sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = made(sounds, "steps = 1\n")
    batch = batch_of(recipe, 3)
    taught: list[torch.Tensor] = []
    kept = torch.nn.functional.binary_cross_entropy_with_logits

    def spy(logits: torch.Tensor, labels: torch.Tensor, **options: Any) -> torch.Tensor:
        taught.append(labels)
        return kept(logits, labels, **options)

    monkeypatch.setattr(torch.nn.functional, "binary_cross_entropy_with_logits", spy)
    starts = torch.tensor([[-72, 2], [-40, 0], [-5, 1]])
    monkeypatch.setattr(torch, "randint", lambda *_: starts)
    recipe(batch)
    labels = taught[0].unflatten(0, (3, 2))
    for one in range(3):
        parts = spectrum(batch["sources"][one]) * batch["equalisers"][one][:, None]
        energy = parts.abs().square().sum(-1)
        for patch, start in enumerate(starts[one].tolist()):
            heard = energy[:, max(0, start) : start + FRAMES].sum(1)
            expected = torch.zeros(len(recipe.network.classes))
            for number, own in zip(batch["numbers"][one].tolist(), heard, strict=True):
                if number >= 0 and own > 0.05 * heard.sum():
                    expected[number] = 1.0
            assert torch.equal(labels[one, patch], expected)
    assert labels.sum() > 3


def test_it_begins_with_yamnet_and_says_where_it_cannot(sounds: Path) -> None:
    torch.manual_seed(9)
    weights = Yamnet().state_dict()
    torch.save(weights, sounds / "yamnet.pt")
    recipe = made(sounds, 'steps = 1\nstart = "yamnet.pt"\n')
    for name, tensor in recipe.network.trunk.state_dict().items():
        assert torch.equal(tensor, weights[name])
    torch.save({"first.weight": torch.zeros(2)}, sounds / "yamnet.pt")
    with pytest.raises(ValueError, match="not what tools/make_yamnet wrote"):
        made(sounds, 'steps = 1\nstart = "yamnet.pt"\n')


def test_a_run_is_scored_kept_and_taken_up(sounds: Path) -> None:
    class Impatient(Watch):
        def stepped(self, step: int, loss: float) -> None:
            self.ended = step == 1

    top = 'steps = 2\ncheck = 2\nevery = 1\nmixtures = "mixtures.csv"\n'
    whole = Trainer(made(sounds, top), sounds / "whole", "cpu")
    assert whole.fit()
    assert {"top_1", "top_3", "top_10"} <= whole.curve[-1].keys()
    assert not Trainer(made(sounds, top), sounds / "parts", "cpu").fit(Impatient())
    trainer = Trainer(made(sounds, top), sounds / "parts", "cpu")
    trainer.resume()
    assert trainer.fit()
    one, other = (load_listener(sounds / part / "checkpoint.pt") for part in ("whole", "parts"))
    assert one.network.classes == ("high", "hiss", "low", "middle")
    assert one.facts["settings"]["patches"] == 2
    for key, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[key])


@pytest.mark.parametrize(("rank", "figures"), [(1, [1, 1, 1]), (3, [0, 1, 1]), (4, [0, 0, 1])])
def test_the_score_is_the_rank_of_what_was_asked_for(
    sounds: Path, rank: int, figures: list[float]
) -> None:
    recipe = made(sounds, 'steps = 1\nevery = 1\nmixtures = "mixtures.csv"\n')
    network = recipe.network.eval()
    with torch.no_grad():  # whatever it hears
        network.presence.weight.zero_()
        order = torch.tensor([3.0, 2.0, 1.0, 0.0])
        own = network.classes.index("low")
        network.presence.bias[:] = order.roll(own - (rank - 1))
    found, _ = recipe.score(network)
    assert list(found.values()) == figures


def test_a_checkpoint_comes_back_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(2)
    listener = Listener(["a", "b"]).eval()
    torch.save(to_checkpoint(listener) | {"facts": {"curve": []}}, tmp_path / "listener.pt")
    found = load_listener(tmp_path / "listener.pt")
    heard = torch.rand(2, FRAMES, BINS)
    with torch.no_grad():
        torch.testing.assert_close(found.network(heard), listener(heard), atol=2e-2, rtol=0)


@pytest.mark.parametrize("damage", ["weights", "classes", "numbers", "facts"])
def test_what_is_no_listener_is_one_line(tmp_path: Path, damage: str) -> None:
    saved = to_checkpoint(Listener(["a"])) | {"facts": {"curve": []}}
    if damage == "numbers":
        saved["weights"]["presence.bias"][0] = torch.nan
    else:
        del saved[damage]
    torch.save(saved, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="no checkpoint of a listener") as caught:
        load_listener(tmp_path / "other.pt")
    assert "\n" not in str(caught.value)
