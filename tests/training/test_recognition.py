"""Which class leaves most of a recording, by the network's own stems."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soloist.separators.solo import Solo, SoloConfig
from soloist.training import recognition
from soloist.training.clips import Clip

CONFIG = SoloConfig(width=24, memory=16, blocks=1, patch_width=8, maps=8, embedding=6)


@pytest.fixture
def network() -> Solo:
    torch.manual_seed(3)
    return Solo(CONFIG).eval()


def recording(seed: int) -> NDArray[np.int16]:
    noise = np.random.default_rng(seed).normal(size=24_000).cumsum()
    samples: NDArray[np.int16] = (8000 * noise / np.abs(noise).max()).astype(np.int16)
    return samples


def test_what_is_kept_is_the_energy_of_the_stem(network: Solo) -> None:
    samples, table = recording(0), torch.randn(3, network.conditioning_size)
    spectrum = network.config.frontend.analyse(torch.from_numpy(samples / np.float32(32768)))
    mixture = torch.view_as_real(spectrum)[None]
    expected = []
    with torch.no_grad():
        for query in table:
            stems, _ = network(mixture, query[None], network.initial_state(1))
            expected.append(float(stems.square().sum() / mixture.square().sum()))
    np.testing.assert_allclose(recognition.kept(network, samples, table), expected, rtol=1e-4)


def test_a_class_s_place_is_by_what_it_keeps(
    network: Solo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each class keeps as much as its number says."""
    classes = {
        name: torch.tensor([share]) for name, share in {"a": 0.2, "b": 0.9, "c": 0.5}.items()
    }
    monkeypatch.setattr(recognition, "kept", lambda network, samples, table: table[:, 0].numpy())
    clips = [Clip("", label, (), recording(1)) for label in "abcb"]
    np.testing.assert_array_equal(recognition.ranks(network, clips, classes), [3, 1, 2, 1])


def test_the_table(
    sounds: Path,
    network: Solo,
    tones: dict[str, float],
    letters: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = {"vocabulary": {label: [f"a {label}"] for label in tones}, "encoder": "letters"}
    trained = SimpleNamespace(network=network, facts=facts)
    monkeypatch.setattr(recognition, "load_solo", lambda path: trained)
    arguments = ["solo.pt", "--manifest", str(sounds / "manifest.csv")]
    assert recognition.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{len(tones)} recordings; of {len(tones)} classes, their own is"
    assert lines[-1].split() == ["among", "the", "first", "10", "100%"]
    assert recognition.main([*arguments, "--split", "test"]) == 2
    assert "has no test recordings of its classes" in capsys.readouterr().err
