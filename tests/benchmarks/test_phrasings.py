"""Other phrasings cost what they gain less than the listed one, mixture by mixture."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soloist.benchmarks import phrasings
from soloist.training.gates import synonyms
from soloist.training.mixture_list import COLUMNS, Mixture

TIME = np.arange(4800) / 48_000
TARGET, OTHER = np.sin(2 * np.pi * 500 * TIME), np.cos(2 * np.pi * 500 * TIME)


def mixture(**named: Any) -> Mixture:
    told = {"target": object(), "target_class": "tom_drum", "query": "a tom", **named}
    made = object.__new__(Mixture)
    for key, value in told.items():
        object.__setattr__(made, key, value)
    return made


def test_a_target_is_asked_for_in_every_way() -> None:
    ways = phrasings.phrasings(mixture(), {"tom_drum": ("toms", "tom-tom")})
    assert ways["its plain name"] == ("tom drum",)
    assert ways["I hear NAME"] == ("I hear tom drum",)
    assert ways["a synonym"] == ("toms", "tom-tom")
    assert phrasings.phrasings(mixture(), {})["a synonym"] == ()


def test_the_cost_is_the_difference_of_what_the_words_gain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is asked leaves so much of the other sound: what the words gain, in closed form."""
    left = {"a tom": 0.01, "tom drum": 0.1}  # 40 and 20 dB; any other words: nothing gained

    class Told:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.left = 1.0

        def ask(self, words: str) -> None:
            self.left = left.get(words, 1.0)

        def __call__(self, audio: Any, rate: int) -> Any:
            return TARGET + self.left * (audio - TARGET)

    monkeypatch.setattr(phrasings, "Separator", Told)
    monkeypatch.setattr(phrasings, "render", lambda *_: (TARGET + OTHER, TARGET))
    monkeypatch.setattr(phrasings, "read_mixtures", lambda _: [mixture(), mixture(target=None)])
    assert phrasings.main(["list.csv"]) == 0
    rows = [line.rsplit(maxsplit=5) for line in capsys.readouterr().out.splitlines()[2:]]
    found = {kind: [float(number) for number in numbers[:4]] for kind, *numbers in rows}
    assert found["its plain name"] == [1, 40, 20, 20]
    assert all(found[s.format("NAME")] == [1, 40, 0, 40] for s in phrasings.SENTENCES)
    # Nobody has written a synonym down that is not among those learnt.
    assert ("a synonym" in found) == ("tom_drum" in synonyms("unlearnt_synonyms"))


def test_the_shipped_model_is_asked_in_all_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random, clips = np.random.default_rng(0), ("rain", "dog_bark")
    for label in clips:
        (tmp_path / label).mkdir()
        soundfile.write(tmp_path / label / "clip.wav", 0.1 * random.standard_normal(9600), 48_000)
    row = dict.fromkeys(COLUMNS, "0") | {"query": "falling rain", "duration_s": "0.2"}
    row |= {"target_file": "rain/clip.wav", "interferer_files": "dog_bark/clip.wav"}
    row |= {"target_class": "rain"}
    with (tmp_path / "mixtures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(row)
    assert phrasings.main([str(tmp_path / "mixtures.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    kinds, _, _, so, *_ = zip(*(line.rsplit(maxsplit=5) for line in lines), strict=True)
    assert {"its plain name", "I hear NAME"} < set(kinds)
    assert len(set(so)) > 1  # words are heard


def test_one_clear_line_for_a_list_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert phrasings.main(["no/such/list.csv"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("soloist: cannot read the list") and captured.out == ""
    with pytest.raises(SystemExit) as ended:
        phrasings.main(["list.csv", "--stride", "0"])
    assert ended.value.code == 2
    assert "--stride takes 1 or more, found 0" in capsys.readouterr().err
