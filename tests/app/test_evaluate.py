"""`soloist evaluate`: the report over a small list."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soloist.app.evaluation import Score, summary
from soloist.runtime.bundle import Bundle
from soloist.runtime.queries import conditioning_for
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor
from soloist.training.metrics import si_sdr
from soloist.training.mixture_list import RATE, Excerpt, Mixture, read_mixtures, render

Run = Callable[..., Any]
KEYS = {
    "n",
    "si_sdr_mean",
    "si_sdri_mean",
    "si_sdri_median",
    "sdri_mean",
    "absent_attenuation_db_mean",
    "by_class",
    "by_query_kind",
    "by_n_sources",
}
HEADER = (
    "id,target_file,target_start_s,target_offset_s,target_class,interferer_files,"
    "interferer_starts_s,interferer_offsets_s,snr_db,duration_s,query,query_kind,n_sources"
)


@pytest.fixture
def mixtures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(11)
    soundfile.write(tmp_path / "hum.wav", 0.1 * np.sin(np.arange(RATE) / 50), RATE, "FLOAT")
    soundfile.write(tmp_path / "hiss.wav", 0.1 * rng.standard_normal(RATE), RATE, "FLOAT")
    path = tmp_path / "list.csv"
    path.write_text(
        f"{HEADER}\n"
        "a,hum.wav,0,0,dog,hiss.wav,0,0,0,0.4,dog,seen,2\n"
        "b,hiss.wav,0,0,rain,hum.wav,0,0,3,0.4,falling rain,unseen,2\n"
        "c,,,,bird,hum.wav|hiss.wav,0|0,0|0,,0.4,bird,seen,2\n"
    )
    return path


def evaluated(soloist: Run, toy: str, mixtures: Path, *options: object) -> Any:
    line = ["evaluate", "-m", toy, "--mixtures", mixtures, "--audio-root", mixtures.parent]
    return soloist(*line, *options)


def test_report(soloist: Run, toy: str, mixtures: Path) -> None:
    result = evaluated(soloist, toy, mixtures, "--json", "-")
    assert result.code == 0
    report = json.loads(result.out)
    assert report.keys() >= KEYS
    assert (report["n"], report["n_absent"]) == (3, 1)
    assert report["by_class"].keys() == {"dog", "rain"}
    assert report["by_query_kind"].keys() == {"seen", "unseen"}
    assert report["by_n_sources"]["2"]["n"] == 2
    groups = report["by_class"].values()
    for key in ("si_sdr_mean", "si_sdri_mean", "sdri_mean"):
        assert report[key] == pytest.approx(np.mean([group[key] for group in groups]))
    assert np.isfinite(report["absent_attenuation_db_mean"])


def test_table_and_file(soloist: Run, toy: str, mixtures: Path) -> None:
    output = mixtures.parent / "report.json"
    result = evaluated(soloist, toy, mixtures, "--json", output)
    assert result.code == 0
    assert "SI-SDRi" in result.out and "rain" in result.out
    assert json.loads(output.read_text()).keys() >= KEYS


def test_separate_gives_the_same_samples(soloist: Run, toy: str, mixtures: Path) -> None:
    mix, target = render(read_mixtures(mixtures)[0], mixtures.parent)
    source, output = mixtures.parent / "mix.wav", mixtures.parent / "out.wav"
    soundfile.write(source, mix, RATE, "FLOAT")
    assert soloist("separate", source, output, "-m", toy, "-q", "dog").code == 0
    expected = si_sdr(soundfile.read(output)[0], target)
    report = json.loads(evaluated(soloist, toy, mixtures, "--json", "-").out)
    assert report["by_class"]["dog"]["si_sdr_mean"] == pytest.approx(expected, abs=1e-4)


def test_trailing_masks_are_those_of_a_live_processor(
    soloist: Run, toy: str, mixtures: Path
) -> None:
    mix, target = render(read_mixtures(mixtures)[0], mixtures.parent)
    bundle = Bundle.open(toy)
    dog = conditioning_for(bundle, ["dog"])
    for block in (128, 512):
        processor = Processor(bundle, device="cpu", conditioning=dog, trailing=True)
        output = separate_array(processor, mix[:, None].astype(np.float32), RATE, block_size=block)
        processor.release()
        told = json.loads(evaluated(soloist, toy, mixtures, "--trailing", block, "--json", "-").out)
        expected = si_sdr(output[:, 0], target)
        assert told["by_class"]["dog"]["si_sdr_mean"] == pytest.approx(expected, abs=1e-4)


def test_figures_without_mixtures_are_null(soloist: Run, toy: str, mixtures: Path) -> None:
    mixtures.write_text("\n".join(mixtures.read_text().splitlines()[:2]) + "\n")
    report = json.loads(evaluated(soloist, toy, mixtures, "--json", "-").out)
    assert report["absent_attenuation_db_mean"] is None
    assert evaluated(soloist, toy, mixtures).code == 0


def test_bad_input(soloist: Run, toy: str, mixtures: Path) -> None:
    output = mixtures.parent / "report.json"
    rows = list(csv.reader(mixtures.read_text().splitlines()))
    assert "'nowhere'" in evaluated(
        soloist, toy, mixtures, "--json", mixtures.parent / "nowhere" / "report.json"
    ).refusal.replace(str(mixtures.parent) + "/", "")
    mixtures.write_text("\n".join(",".join(row[:-1]) for row in rows))
    assert "n_sources" in evaluated(soloist, toy, mixtures, "--json", output).refusal
    mixtures.write_text(f"{HEADER}\nm,gone.wav,0,0,dog,hiss.wav,0,0,0,1,dog,seen,2\n")
    assert "gone.wav" in evaluated(soloist, toy, mixtures, "--json", output).refusal
    mixtures.write_text(f"{HEADER}\nm,hum.wav,0,0,dog,hiss.wav,0,0,0,1,a zebra,seen,2\n")
    assert "zebra" in evaluated(soloist, toy, mixtures, "--json", output).refusal
    assert not output.exists()


def test_summary_is_arithmetic() -> None:
    clip = Excerpt("clip.wav", 0.0, 0.0)

    def score(kind: str, gain: float) -> Score:
        mixture = Mixture("m", kind, "seen", kind, 2, 1.0, clip, (clip,), 0.0)
        return Score(mixture, gain, gain, gain, gain)

    report = summary([score("dog", 1.0), score("dog", 2.0), score("cat", 9.0)])
    assert report["si_sdri_mean"] == 4.0
    assert report["si_sdri_median"] == 2.0
    assert report["by_class"]["dog"]["si_sdri_mean"] == 1.5  # type: ignore[index]


def test_a_model_of_its_own_words_only(
    soloist: Run, windowed_toy: Callable[..., Any], mixtures: Path
) -> None:
    """It has no way to take words, but those it was made for need none."""
    model = str(windowed_toy().path)
    lines = mixtures.read_text().splitlines()
    mixtures.write_text("\n".join(lines[:2]) + "\n")
    result = evaluated(soloist, model, mixtures, "--json", "-")
    assert result.code == 0
    assert json.loads(result.out)["n"] == 1
    mixtures.write_text("\n".join(lines[:3]) + "\n")
    result = evaluated(soloist, model, mixtures, "--json", "-")
    assert result.code == 2
    assert "takes no words but those it was exported with (dog)" in result.err
