"""The CLAP encoder around its two branches: where the weights come from, what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from soloist.separators.clap import Clap
from soloist.separators.clap_audio import CLIP, log_mel, repeated
from soloist.separators.clap_text import POSITION_NUMBERS, ClapText

pytestmark = pytest.mark.filterwarnings("default")  # other people's, while libraries are imported

IDS = torch.tensor([[0, 9, 8, 2, 1, 1]])


@pytest.fixture(scope="module")
def text() -> ClapText:
    torch.manual_seed(1)
    return ClapText(tokens=20, width=64, layers=1, hidden=16, embedding=12).eval()


@pytest.fixture
def weights(text: ClapText, tmp_path: Path) -> Path:
    """A file as LAION writes it, without the audio branch."""
    state = text.state_dict() | {POSITION_NUMBERS: torch.arange(514)[None]}
    state["logit_scale_a"] = torch.tensor(1.0)
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"epoch": 15, "state_dict": wrapped, "acc": np.float64(0.9)}, tmp_path / "clap.pt")
    return tmp_path / "clap.pt"


@torch.no_grad()
def test_texts_go_through_the_branch_of_the_file(weights: Path, text: ClapText) -> None:
    found = Clap(weights).encode_tokens(IDS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, text(IDS)[1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_branch_that_is_not_there_is_named(weights: Path) -> None:
    with pytest.raises(
        ValueError, match=r"clap\.pt is no checkpoint of LAION-CLAP: .* missing aud"
    ):
        Clap(weights).encode_sounds([np.zeros(480, np.float32)])


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt is no checkpoint of LAION-CLAP"):
        Clap(tmp_path / "other.pt")


def test_without_a_hub_the_file_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise OSError("no route to the hub\nmore")

    monkeypatch.setattr("soloist.separators.clap.fetch", fail)
    with pytest.raises(OSError, match=r"\(no route to the hub\); give the file music_audioset"):
        Clap()


@pytest.mark.parametrize("branch", ["text", "audio"])
def test_a_missing_library_is_named(branch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from soloist.separators.clap_audio import ClapAudio

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r'transformers.* pip install "soloist\[export\]"'):
        ClapText() if branch == "text" else ClapAudio()


@pytest.mark.parametrize(
    ("samples", "copies"), [(CLIP // 3, 3), (CLIP // 2 - 1, 2), (CLIP, 1), (CLIP + 5, 1)]
)
def test_short_sounds_are_repeated_whole(samples: int, copies: int) -> None:
    sound = torch.arange(1, samples + 1, dtype=torch.float32)[None]
    found = repeated(sound, CLIP)[0]
    assert len(found) == CLIP
    used = min(samples, CLIP)
    for copy in range(copies):
        assert torch.equal(found[copy * used : (copy + 1) * used], sound[0, :used])
    assert not found[copies * used :].any()


def test_silence_is_at_the_floor_and_a_tone_in_its_band() -> None:
    time = torch.arange(4800) / 48_000
    tone = torch.sin(2 * torch.pi * 1000 * time)
    mel = log_mel(torch.stack([torch.zeros(4800), tone]))
    assert mel.shape == (2, 11, 64)
    assert torch.equal(mel[0], torch.full((11, 64), -100.0))
    # Slaney's scale is linear to 1 kHz, 200/3 Hz a mel, then logarithmic, 27 mels to a factor 6.4
    top = 15 + 27 * np.log(14_000 / 1000) / np.log(6.4)
    centre = 50 / (200 / 3) + (np.arange(64) + 1) * (top - 0.75) / 65
    assert int(mel[1, 5].argmax()) == int(np.abs(centre - 15).argmin())
