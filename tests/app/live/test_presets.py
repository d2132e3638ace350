"""Presets: what is saved comes back, the command line wins, and a bad file is one clear line."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.app.live import command as live_module
from soloist.app.live import presets
from soloist.app.live.preset_keys import KEYS
from soloist.app.live.view import Lines
from soloist.runtime.errors import DeviceError
from soloist.streaming.counters import Counters
from soloist.streaming.latency import Latency
from soloist.streaming.live.budget import LatencyBudget
from soloist.streaming.live.jack_graph import JackOptions
from soloist.streaming.live.meters import MeterBoard
from soloist.streaming.live.plan import LivePlan
from soloist.streaming.live.report import Report, Wiring

Run = Callable[..., Any]

RUNNING = Report(
    "running",
    Wiring("USB Mic (2- Löwe), ALSA", "Desk, ALSA", 1, 1, 48000, 48000, "cpu"),
    LatencyBudget(Latency(48000, (("overlap", 128),)), 128),
    MeterBoard(48000).read(),
    Counters(),
)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "presets"
    monkeypatch.setattr(presets, "folder", lambda: folder)
    return folder


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[LivePlan]:
    """The plans that `soloist live` would play, on devices that only say their names."""
    made: list[LivePlan] = []

    class Process:
        def __enter__(self) -> Process:
            return self

        def __exit__(self, *_: object) -> None: ...

        def start(self, plan: LivePlan) -> Report:
            made.append(plan)
            if plan.input_device == "theremin":
                raise DeviceError("no input device matches 'theremin'")
            return RUNNING

        def set(self, state: object) -> None:
            """Nothing plays."""

        def set_conditioning(self, conditioning: object) -> None:
            """Nothing plays."""

        def check(self) -> Report:
            return RUNNING

        report = stop = check

    monkeypatch.setattr(live_module, "LiveProcess", Process)
    return made


def play(soloist: Run, *arguments: object) -> str:
    result = soloist("live", "--duration", "0", *arguments)
    assert result.code == 0, result
    return str(result.err)


FULL = [
    *("-q", "dog", "-q", "rain", "--not", "piano", "--remove", "--gain", "-6.5", "--rest", "-inf"),
    *("--independent", "--no-limiter", "-i", "3", "-o", "desk", "-b", "256", "-r", "44100"),
    *("-c", "1", "--latency", "0.02", "--wait", "--reconnect", "5", "--device", "cpu"),
    *("--jack", "--client-name", "vocals", "--schedule", "worker"),
]


def test_what_is_saved_plays_the_same(
    soloist: Run, toy: str, plans: list[LivePlan], tmp_path: Path
) -> None:
    saved = tmp_path / "dog.toml"
    said = play(soloist, "-m", toy, *FULL, "--save-preset", saved)
    assert f"written: {saved}" in said
    again = tmp_path / "again.toml"
    play(soloist, saved, "--save-preset", again)
    assert again.read_bytes() == saved.read_bytes()
    first, second = plans
    assert first.conditioning is not None and second.conditioning is not None
    np.testing.assert_array_equal(first.conditioning, second.conditioning)
    # Devices by the names of those that were opened: the index 3 is another one tomorrow.
    named: dict[str, Any] = {
        "input_device": "USB Mic (2- Löwe), ALSA",
        "output_device": "Desk, ALSA",
    }
    assert replace(first, conditioning=None, **named) == replace(second, conditioning=None)
    assert second.jack == JackOptions(insert=True, client="vocals")
    assert second.schedule == "worker"
    assert second.state == {
        "limiter": 0.0,
        "stem1.gain": -6.5,
        "stem2.gain": -6.5,
        "residual.gain": -80.0,
    }


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """`recorded(name)`: the objects of that class that `live` makes from now on."""

    def record(name: str) -> list[Any]:
        made: list[Any] = []
        kind = vars(live_module)[name]

        def make(*given: Any) -> Any:
            made.append(kind(*given))
            return made[-1]

        monkeypatch.setattr(live_module, name, make)
        return made

    return record


def test_what_keys_turned_is_kept(
    soloist: Run,
    toy: str,
    plans: list[LivePlan],
    recorded: Callable[[str], list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desks = recorded("Desk")

    def wait(view: Lines, seconds: float) -> None:
        for key in ("b", "2", "+", "+", "3", "0", "1", "m"):
            desks[-1].press(key)
        view.ended = True

    monkeypatch.setattr(Lines, "wait", wait)
    saved = tmp_path / "it.toml"
    ask = ("-m", toy, "-q", "dog", "-q", "rain", "--gain", "-3", "--save-preset", saved)
    result = soloist("live", *ask)
    assert result.code == 0
    assert result.err.count(f"written: {saved}") == 2
    content = tomllib.loads(saved.read_text("utf-8"))
    assert (content["gain"], content["rest"]) == ([-math.inf, -1.0], 0.0)
    soloist("live", saved)
    assert plans[-1].state == {
        "limiter": 1.0,
        "stem1.gain": -80.0,
        "stem2.gain": -1.0,
        "residual.gain": 0.0,
    }


def test_other_words_are_kept_and_gains_are_not_frozen_by_them(
    soloist: Run,
    toy: str,
    plans: list[LivePlan],
    recorded: Callable[[str], list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = recorded("Asking")

    def wait(view: Lines, seconds: float) -> None:
        made[0].ask(0, "piano")
        view.ended = True

    monkeypatch.setattr(Lines, "wait", wait)
    saved = tmp_path / "it.toml"
    soloist("live", "-m", toy, "-q", "dog", "--remove", "--save-preset", saved)
    content = tomllib.loads(saved.read_text("utf-8"))
    assert content["queries"] == ["piano"]
    assert {"gain", "rest"}.isdisjoint(content)


def test_what_was_not_said_is_left_open(
    soloist: Run, toy: str, plans: list[LivePlan], tmp_path: Path
) -> None:
    saved = tmp_path / "plain.toml"
    play(soloist, "-m", toy, "--save-preset", saved)
    content = tomllib.loads(saved.read_text("utf-8"))
    assert {"input_device", "output_device", "queries", "gain", "advance"}.isdisjoint(content)
    play(soloist, saved)
    assert plans[0] == plans[1]


def test_the_command_line_wins(
    soloist: Run, toy: str, plans: list[LivePlan], tmp_path: Path
) -> None:
    preset = tmp_path / "it.toml"
    preset.write_text(
        f"model = '{toy}'\nmode = 'remove'\nblock_size = 64\nrest = -12\nlimiter = false\n"
    )
    play(soloist, preset, "--keep", "-b", "0", "--limiter")
    (plan,) = plans
    assert (plan.mode, plan.block_size) == ("keep", 0)
    assert plan.state == {"limiter": 1.0, "residual.gain": -12.0}


def test_spans_come_back(soloist: Run, plans: list[LivePlan], tmp_path: Path) -> None:
    from soloist.app.windows import span

    for text in ("16", "250ms", "62.5ms"):
        assert span(str(span(text))) == span(text)
    preset = tmp_path / "it.toml"
    preset.write_text('advance = "250 ms"\nlookahead = 3\n')
    play(soloist, preset)
    assert (plans[0].advance, plans[0].lookahead) == (round(0.25 * 48000 / 128), 3)


def test_one_word_is_a_name_in_the_users_folder(
    soloist: Run, toy: str, plans: list[LivePlan], own_folder: Path
) -> None:
    play(soloist, "-m", toy, "--remove", "--save-preset", "quiet")
    assert (own_folder / "quiet.toml").is_file()
    play(soloist, "quiet")
    assert plans[1].mode == "remove"
    message = soloist("live", "loud").refusal
    assert "your folder has quiet" in message


def test_a_models_path_is_taken_from_the_presets_folder(
    soloist: Run, toy: str, plans: list[LivePlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it.toml").write_text('model = "toy.onnx"\n')
    (tmp_path / "toy.onnx").write_bytes(Path(toy).read_bytes())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    play(soloist, "../it.toml")
    assert Path(plans[0].model).samefile(tmp_path / "toy.onnx")
    monkeypatch.chdir(tmp_path)
    play(soloist, "-m", "toy.onnx", "--save-preset", "elsewhere/saved.toml")
    saved = tomllib.loads((tmp_path / "elsewhere" / "saved.toml").read_text())
    assert saved["model"] == str(tmp_path / "toy.onnx")


def test_a_folder_before_the_name_makes_it_a_path(
    soloist: Run,
    toy: str,
    plans: list[LivePlan],
    own_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    play(soloist, "-m", toy, "--remove", "--save-preset", "./quiet")
    assert (tmp_path / "quiet").is_file() and not (own_folder / "quiet.toml").exists()
    play(soloist, "./quiet")
    assert plans[1].mode == "remove"


def test_nothing_is_saved_where_audio_does_not_run(
    soloist: Run, toy: str, plans: list[LivePlan], tmp_path: Path
) -> None:
    saved = tmp_path / "it.toml"
    soloist("live", "-m", toy, "-i", "theremin", "--save-preset", saved)
    assert plans
    assert not saved.exists()


def test_a_place_that_takes_no_file_is_refused_first(
    soloist: Run, toy: str, plans: list[LivePlan], tmp_path: Path
) -> None:
    refusal = soloist("live", "-m", toy, "--save-preset", tmp_path / "no" / "it.toml").refusal
    assert "make it first" in refusal
    assert not plans


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("querys = ['dog']", "unknown key 'querys'; is it 'queries'?"),
        ("zz = 1", "unknown key 'zz'; the keys are model, queries"),
        ("[audio]\nblock_size = 1", "unknown key 'audio'"),
        ("queries = 'dog'", "queries takes words, such as [\"a dog barking\"], found 'dog'"),
        ("queries = []", "queries takes words"),
        ("queries = ['']", "queries takes words"),
        ("queries = ['a\\u0007']".replace("'", '"'), "queries takes words"),
        ("mode = 'loud'", 'mode takes "keep" or "remove", found \'loud\''),
        (
            "gain = 40",
            "gain takes dB, -80 to 12 or -inf, or a list of such, one for each query, found",
        ),
        (
            "gain = []",
            "gain takes dB, -80 to 12 or -inf, or a list of such, one for each query, found",
        ),
        ("gain = [0, 40]", "or a list of such, one for each query, found [0, 40]"),
        ("rest = nan", "rest takes dB"),
        ("rest = '-3 dB'", "rest takes dB"),
        ("linked = 1", "linked takes true or false, found 1"),
        ("input_device = 3", "input_device takes the name that `soloist devices` shows, found 3"),
        ("output_device = '3'", "output_device takes the name"),
        ("block_size = 128.0", "block_size takes frames, 0 to 8192"),
        ("block_size = true", "block_size takes frames"),
        ("block_size = 9000", "block_size takes frames"),
        ("sample_rate = 0", "sample_rate takes whole Hertz"),
        ("channels = -1", "channels takes 1 to 128"),
        ("latency = 'fast'", 'latency takes "low", "high" or seconds below 10'),
        ("latency = -1", "latency takes"),
        ("latency = ['low']", "latency takes"),
        ("reconnect = nan", "reconnect takes seconds"),
        ("schedule = 'later'", 'schedule takes "inline", "worker" or "trailing"'),
        ("jack = 'yes'", "jack takes true or false"),
        ("advance = 'soon'", "advance takes frames, such as 16, or time"),
        (f"lookahead = '{'9' * 400}'", "lookahead takes frames"),
        ("tight = 1979-05-27", "tight takes true or false"),
        ("mode =", "no TOML: Invalid value (at line 1"),
        ("mode = 'keep'\nmode = 'keep'", "no TOML: Cannot overwrite a value"),
        ("a = " + "[" * 20000, "no TOML: "),
        ("#" * 70000, "it is longer than 65536 bytes"),
    ],
)
def test_a_bad_file_is_one_clear_line(
    soloist: Run, tmp_path: Path, plans: list[LivePlan], line: str, said: str
) -> None:
    preset = tmp_path / "bad.toml"
    preset.write_text(line + "\n")
    refusal = soloist("live", preset).refusal
    assert said in refusal
    assert "bad.toml" in refusal
    assert len(refusal) < 600
    assert not plans


def test_files_that_are_none(soloist: Run, tmp_path: Path) -> None:
    assert "no such file" in soloist("live", tmp_path / "gone.toml").refusal
    assert "a folder" in soloist("live", tmp_path).refusal
    assert "a folder" in soloist("live", ".").refusal
    (tmp_path / "latin.toml").write_bytes("queries = ['Löwe']".encode("latin-1"))
    assert (
        "byte 13 is no UTF-8; save it as UTF-8" in soloist("live", tmp_path / "latin.toml").refusal
    )
    assert soloist("live", "x" * 5000 + ".toml").refusal


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "it.toml"
    path.write_text("wait = true\n", encoding="utf-8-sig")
    assert presets.read(path) == {"wait": True}


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.text(), st.booleans(), st.floats(allow_nan=False), st.lists(st.text())))
def test_what_is_written_is_what_tomllib_reads(value: object) -> None:
    assert tomllib.loads(f"it = {presets.to_toml(value)}")["it"] == value


def test_infinity_is_written_as_toml_writes_it() -> None:
    assert tomllib.loads(f"it = {presets.to_toml(-math.inf)}")["it"] == -math.inf


def test_the_documented_preset_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "live.md").read_text("utf-8")
    path = tmp_path / "it.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0])
    assert {key.parameter for key in KEYS.values()} == presets.read(path).keys()
