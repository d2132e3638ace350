"""The losses of CLIPSep and NIT against the values of the published code; PIT's closed forms."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from soloist.separators.clipsep import CLIPSepNIT
from soloist.separators.late_fusion import read_out
from soloist.separators.log_picture import FLOOR, Geometry
from soloist.training.clipsep_losses import clipsep_loss, mask_entropy, nit_loss, pit_loss, targets


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def batch(golden: Any) -> dict[str, Tensor]:
    """What the network makes of the fixed batch that README and meta_clipsep.json describe."""
    network = CLIPSepNIT(Geometry())
    golden.recipe("fill_weights").fill_state_dict(network.state_dict(), "public", "clipsep")
    network.eval()
    inputs, front = golden.recipe("gen_input"), network.geometry.front
    names = [[f"public:src{source}{item}" for source in range(2)] for item in range(2)]
    waves = [[inputs.wave(name, front.clip) for name in item] for item in names]
    audio = torch.from_numpy(np.array(waves).astype(np.float32) / 32768).clamp(-1, 1) / 2
    queries = torch.from_numpy(np.array([[inputs.clip_query(n) for n in item] for item in names]))
    sources = network.picture.to_rows(front.analyse(audio).abs())
    mixture = network.picture.to_rows(front.analyse(audio.sum(1)).abs() + FLOOR)
    with torch.no_grad():
        maps = network.sound_net(mixture.log()[:, None])
        logits = read_out(maps, network.condition(queries))
        noise = read_out(maps, network.condition_noise(queries))
    return {"logits": logits, "noise": noise, "sources": sources, "mixture": mixture}


@pytest.fixture(scope="module")
def published(golden: Any) -> dict[str, float]:
    meta = json.loads((golden.folder / "public" / "meta_clipsep.json").read_text())
    losses: dict[str, float] = meta["losses"]
    return losses


def test_clipsep(batch: dict[str, Tensor], published: dict[str, float]) -> None:
    found = clipsep_loss(batch["logits"], batch["sources"], batch["mixture"])
    assert found.item() == pytest.approx(published["clipsep"], rel=1e-4)
    assert found.item() == pytest.approx(published["nit_no_pit"], rel=1e-4)


def test_mean_activations(batch: dict[str, Tensor], published: dict[str, float]) -> None:
    for key, name in (("logits", "nit_mean_act"), ("noise", "nit_mean_pit_act")):
        found = torch.sigmoid(batch[key]).sum(1).mean()
        assert found.item() == pytest.approx(published[name], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("nit_reg2_0.0", {"idle_weight": 0.0}),
        ("nit_reg2_0.1", {}),
        ("nit_reg1_0.5_eps_0.1_reg2_0.1", {"margin_weight": 0.5, "margin": 0.1}),
    ],
)
def test_nit(
    batch: dict[str, Tensor], published: dict[str, float], name: str, choices: dict[str, Any]
) -> None:
    found = nit_loss(*(batch[k] for k in ("logits", "noise", "sources", "mixture")), **choices)
    assert found.item() == pytest.approx(published[name], rel=1e-4)


def picture(*cells: float) -> Tensor:
    """One item of one row."""
    return torch.tensor(cells)[None, None]


def test_targets_say_who_is_louder_than_half() -> None:
    mixture = picture(2.0, 2.0, 2.0)
    sources = torch.stack([picture(1.5, 1.0, 1.1), picture(0.5, 1.0, 1.2)], dim=1)
    assert targets(sources, mixture).tolist() == [[[[1, 0, 1]], [[0, 0, 1]]]]


def test_loud_cells_weigh_more_to_a_limit() -> None:
    masks, wanted = picture(0.5, 0.5, 0.5)[:, None], picture(1.0, 1.0, 1.0)[:, None]
    found = mask_entropy(masks, wanted, picture(0.0, np.e - 1, 1e9))
    assert found.item() == pytest.approx(np.log(2) * (0.001 + 1 + 10) / 3)


def test_pit_takes_the_better_order() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 4, 5, generator=rng)
    mixture = 1 + torch.rand(3, 4, 5, generator=rng)
    sources = mixture[:, None] * torch.rand(3, 2, 4, 5, generator=rng)
    alone = [
        min(
            clipsep_loss(logits[i : i + 1], order[i : i + 1], mixture[i : i + 1]).item()
            for order in (sources, sources.flip(1))
        )
        for i in range(3)
    ]
    assert pit_loss(logits, sources, mixture).item() == pytest.approx(np.mean(alone))
    assert pit_loss(logits.flip(1), sources, mixture) == pit_loss(logits, sources, mixture)
