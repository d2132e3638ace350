"""Lists of mixtures: what a row means, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soloist.training.clips import active_power
from soloist.training.metrics import si_sdr
from soloist.training.mixture_list import (
    COLUMNS,
    RATE,
    MixtureListError,
    read_mixtures,
    render,
)

SHARED = Path(__file__).parents[3] / "shared" / "data"
ROW = {
    "id": "m0",
    "target_file": "tone.wav",
    "target_start_s": "0.5",
    "target_offset_s": "0.25",
    "target_class": "tone",
    "interferer_files": "noise.wav|hum.wav",
    "interferer_starts_s": "0|0.1",
    "interferer_offsets_s": "0|0.2",
    "snr_db": "3",
    "duration_s": "2",
    "query": "a tone",
    "query_kind": "seen",
    "n_sources": "3",
}


@pytest.fixture
def listing(tmp_path: Path) -> Callable[..., Path]:
    """`listing({...changes of ROW}, ...)` writes a list and the clips it names."""
    rng = np.random.default_rng(5)
    time = np.arange(2 * RATE) / RATE
    soundfile.write(tmp_path / "tone.wav", 0.3 * np.sin(2 * np.pi * 440 * time), RATE, "FLOAT")
    soundfile.write(tmp_path / "hum.wav", 0.1 * np.sin(2 * np.pi * 50 * time), RATE, "FLOAT")
    soundfile.write(tmp_path / "noise.wav", 0.2 * rng.standard_normal(RATE), RATE, "FLOAT")

    def write(*changes: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
        path = tmp_path / "list.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(ROW | change for change in changes or [{}])
        return path

    return write


def test_a_mixture_is_what_its_row_says(listing: Callable[..., Path]) -> None:
    path = listing()
    (mixture,) = read_mixtures(path)
    mix, target = render(mixture, path.parent)
    assert len(mix) == len(target) == 2 * RATE
    assert np.abs(mix).max() <= 0.9 + 1e-9
    # The excerpt starts half a second into the clip and sounds from a quarter of a second on.
    assert not target[: RATE // 4].any()
    clip = soundfile.read(path.parent / "tone.wav")[0]
    placed = target[RATE // 4 : RATE // 4 + 1000] / clip[RATE // 2 : RATE // 2 + 1000]
    np.testing.assert_allclose(placed[1:], placed[1], rtol=1e-4)  # one gain for all
    rest = mix - target
    assert 10 * np.log10(active_power(target) / active_power(rest)) == pytest.approx(3.0, abs=1e-6)


def test_interferers_are_equally_strong(listing: Callable[..., Path]) -> None:
    path = listing({"interferer_starts_s": "0|0", "interferer_offsets_s": "0|1"})
    mix, target = render(read_mixtures(path)[0], path.parent)
    rest = mix - target
    assert active_power(rest[:RATE]) == pytest.approx(active_power(rest[RATE:]), rel=0.02)


def test_absent(listing: Callable[..., Path]) -> None:
    nothing = dict.fromkeys(("target_file", "target_start_s", "target_offset_s", "snr_db"), "")
    path = listing(nothing)
    (mixture,) = read_mixtures(path)
    mix, target = render(mixture, path.parent)
    assert mixture.target is None and not target.any()
    assert active_power(mix) == pytest.approx(0.05**2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"duration_s": "long"}, "duration_s should be a number, found 'long'"),
        ({"duration_s": "0"}, "duration_s should be 0.02 or more"),
        ({"snr_db": ""}, "snr_db should be a number"),
        ({"interferer_offsets_s": "0"}, "differ in number"),
        ({"target_start_s": "nan"}, "target_start_s should be a number"),
        ({"target_offset_s": "-1"}, "target_offset_s should not be negative"),
    ],
)
def test_rows_that_make_no_sense(
    listing: Callable[..., Path], change: dict[str, str], expected: str
) -> None:
    with pytest.raises(MixtureListError, match=r"list\.csv, line 3: .*" + expected):
        read_mixtures(listing({}, change))


def test_lists_that_are_none(listing: Callable[..., Path], tmp_path: Path) -> None:
    columns = tuple(c for c in COLUMNS if c not in ("query", "snr_db"))
    with pytest.raises(MixtureListError, match="no column snr_db, query"):
        read_mixtures(listing(columns=columns))
    with pytest.raises(MixtureListError, match="No such file"):
        read_mixtures(tmp_path / "nowhere.csv")
    (tmp_path / "noise.csv").write_bytes(b"\xff\xfe\x00" * 50)
    with pytest.raises(MixtureListError, match=r"noise\.csv"):
        read_mixtures(tmp_path / "noise.csv")
    path = listing()
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(MixtureListError, match="holds no mixtures"):
        read_mixtures(path)
    path.write_text(path.read_text() + "m1,tone.wav\n")
    with pytest.raises(MixtureListError, match="not have as many fields"):
        read_mixtures(path)


def test_clips_that_do_not_fit(listing: Callable[..., Path], tmp_path: Path) -> None:
    (missing,) = read_mixtures(listing({"target_file": "gone.wav"}))
    with pytest.raises(MixtureListError, match=r"gone\.wav"):
        render(missing, tmp_path)
    (late,) = read_mixtures(listing({"target_offset_s": "99"}))
    with pytest.raises(MixtureListError, match="m0: the target is silent"):
        render(late, tmp_path)
    soundfile.write(tmp_path / "slow.wav", np.ones(4000), 8000)
    (slow,) = read_mixtures(listing({"target_file": "slow.wav"}))
    with pytest.raises(MixtureListError, match="found 1 channels at 8000 Hz"):
        render(slow, tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the development clips beside the project")
def test_rendering_agrees_with_the_column_of_the_development_list() -> None:
    with open(SHARED / "dev_mixtures.csv", newline="", encoding="utf-8") as file:
        expected = {row["id"]: row["input_sisdr_db"] for row in csv.DictReader(file)}
    for mixture in read_mixtures(SHARED / "dev_mixtures.csv")[::15]:
        mix, target = render(mixture, SHARED)
        if mixture.target is not None:
            assert si_sdr(mix, target) == pytest.approx(float(expected[mixture.id]), abs=0.0051)
