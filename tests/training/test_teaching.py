"""What a joint model teaches: masks that move by its gradient alone."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from soloist.separators.clap_mini import ClapMini, ClapMiniSizes, to_checkpoint
from soloist.training import teaching
from soloist.training.captions import Captioned, Captions
from soloist.training.clips import Clip

RATE = 16_000


class Knowing:
    """Hears the level around each tone, or, with `deaf`, the same in everything."""

    def __init__(self, tones: dict[str, float], deaf: bool) -> None:
        self.tones = [frequency for frequency in tones.values() if frequency]
        self.names = [name for name, frequency in tones.items() if frequency]
        self.deaf = deaf

    def log_scale(self) -> Tensor:
        return torch.tensor(2.0)

    def sounds(self, audio: Tensor) -> Tensor:
        spectra = torch.fft.rfft(audio).abs()
        bins = [round(frequency * audio.shape[-1] / RATE) for frequency in self.tones]
        levels = torch.stack([spectra[:, n - 250 : n + 251].sum(1) for n in bins], 1)
        return functional.normalize(0 * levels + 1 if self.deaf else levels, dim=1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([torch.eye(3)[self.names.index(text)] for text in texts])


def test_the_masks_separate_what_the_model_tells_apart(
    clips: list[Clip], tones: dict[str, float]
) -> None:
    heard = [clip for clip in clips if tones[clip.label]]
    examples = Captioned(heard, Captions(phrases="class"), 1, RATE, seed=1)
    found, ideal = teaching.follow(Knowing(tones, deaf=False), examples, range(4))
    assert len(found) == len(teaching.STEPS)
    assert found[0].mean_db == pytest.approx(0, abs=0.01)  # halves of the mixture
    assert found[-1].mean_db > 8  # in so few steps
    assert found[-1].loss < found[0].loss
    assert ideal.mean_db > 25
    found, _ = teaching.follow(Knowing(tones, deaf=True), examples, range(4))
    assert found[-1].mean_db == pytest.approx(0, abs=0.01)


def test_many_mixtures_are_looked_at_a_few_at_a_time(
    clips: list[Clip], tones: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "_TOGETHER", 2)
    heard = [clip for clip in clips if tones[clip.label]]
    examples = Captioned(heard, Captions(phrases="class"), 1, RATE, seed=1)
    knowing = Knowing(tones, deaf=False)
    found, ideal = teaching.measure(knowing, examples, 3)
    parts = [teaching.follow(knowing, examples, numbers) for numbers in ([0, 1], [2])]
    (one, ideal_one), (other, ideal_other) = parts
    assert found[-1].gains == [*one[-1].gains, *other[-1].gains]
    assert found[-1].loss == pytest.approx((2 * one[-1].loss + other[-1].loss) / 3)
    assert ideal.gains == [*ideal_one.gains, *ideal_other.gains]
    a, b, c = ideal.gains
    mean = (a + b + c) / 3
    variance = ((a - mean) ** 2 + (b - mean) ** 2 + (c - mean) ** 2) / 2
    assert ideal.mean_db == pytest.approx(mean)
    assert ideal.error_db == pytest.approx((variance / 3) ** 0.5)


@pytest.mark.usefixtures("letters")
def test_the_program_prints_what_it_measured(
    sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mini = ClapMini(ClapMiniSizes(width=2, levels=3, embedding=8, words=6))
    torch.save(to_checkpoint(mini, "letters"), sounds / "mini.pt")
    command = [str(sounds / "mini.pt"), "--manifest", str(sounds / "manifest.csv")]
    assert teaching.main([*command, "--examples", "2", "--classes", "low,high"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["steps", "0", "5", "10", "20", "40", "ideal"]
    assert teaching.main([*command, "--classes", "low"]) == 2
    assert capsys.readouterr().err.startswith("soloist: found 1 classes")
    assert teaching.main([*command, "--classes", "low,hihg"]) == 2
    assert "--classes: the manifest has no recordings of 'hihg'" in capsys.readouterr().err
    assert teaching.main([*command, "--examples", "0"]) == 2
    assert capsys.readouterr().err == "soloist: --examples takes 1 or more, found 0\n"
