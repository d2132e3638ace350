"""The live screen of every size, and what is on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.app.live.asking import Prompt
from soloist.app.live.desk import Strip
from soloist.app.live.level_bars import ASCII, Shown
from soloist.app.live.screen import Scene, clock, draw
from soloist.streaming.counters import Counters
from soloist.streaming.latency import Latency
from soloist.streaming.live.budget import LatencyBudget
from soloist.streaming.live.meters import Meters
from soloist.streaming.live.recorder import Recorded
from soloist.streaming.live.report import Report, Wiring

METERS = Meters(
    block=128,
    block_ms=2.667,
    callbacks=1000,
    overloads=7,
    xruns=5,
    faults=1,
    process_p50_ms=0.2667,
    process_p99_ms=0.8001,
)
BUDGET = LatencyBudget(Latency(48000, (("overlap", 128), ("block adapter", 96))), 128, 48, None)
REPORT = Report(
    "running",
    Wiring("mic, ALSA", "phones, ALSA", 1, 2, 48000, 48000, "cpu"),
    BUDGET,
    METERS,
    Counters(late=3, faults=2, dropped=1),
)
STRIPS = [
    Strip("a dog barking", "3.0 dB", mute=False, solo=True, heard=True),
    Strip("rain", "0.0 dB", mute=True, solo=False, heard=False),
    Strip("the rest", "-inf dB", mute=False, solo=False, heard=False),
]
SHOWN = [Shown(-12.0 - n, -24.0, -6.0 - n) for n in range(5)]
SCENE = Scene("solo", "keep a dog barking, rain", REPORT, SHOWN, STRIPS, 0, False, 3725.0)


def prompt(typed: str, sound: str = "rain") -> Prompt:
    """Where somebody types, and two phrases are offered."""
    it = Prompt(0, sound, lambda _: ["a dog", "a dog barking"])
    it.text = typed
    it.offers = ["a dog", "a dog barking"]
    return it


def drawn(scene: Scene, width: int = 80, height: int = 24) -> list[str]:
    return [line.plain.rstrip() for line in draw(scene, width, height, ASCII)]


def line_of(text: list[str], name: str) -> str:
    (found,) = [line for line in text if name in line]
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 60),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "it happened"]),
    st.text(max_size=30),
    st.none() | st.text("dög 犬", max_size=200),
)
def test_it_fits_whatever_the_size(
    width: int,
    height: int,
    stems: int,
    asks: bool,
    records: bool,
    news: str,
    name: str,
    typed: str | None,
) -> None:
    strips = [replace(STRIPS[0], name=name or "x")] * stems
    scene = replace(
        SCENE,
        strips=strips,
        shown=[SHOWN[0]] * (stems + 2),
        selected=stems - 1,
        help=asks,
        news=news,
        report=replace(REPORT, recording=Recorded("takes/now", 1, 0) if records else None),
        prompt=None if typed is None else prompt(typed, name),
    )
    lines = draw(scene, width, height, ASCII)
    assert 0 < len(lines) <= height
    if typed is not None and height >= 3 and width >= 40:
        assert lines[-1].plain.startswith("1 in place of ")
        assert lines[-1].plain.endswith(f"{typed[-3:]} ")
    assert all(line.cell_len <= width for line in lines)


def test_all_of_it_fits_80_by_24() -> None:
    text = drawn(replace(SCENE, news="it happened"))
    assert text[0].startswith("Soloist  solo  keep a dog barking, rain")
    assert text[0].endswith("1:02:05")
    assert text[1] == "mic to phones, ALSA (1 in, 2 out)"
    assert text[2] == "48000 Hz, blocks of 128 frames (2.67 ms), network on cpu"
    assert text[-2:] == [
        "it happened",
        "b bypass  m mute  s solo  w words  + - gain  1-9 choose  ? help  q quit",
    ]


def test_strips_are_in_columns() -> None:
    text = drawn(SCENE)
    rows = [line_of(text, name) for name in ("1 a dog", "2 rain", "3 the rest")]
    assert rows[0].startswith(">1 a dog barking ") and rows[1].startswith(" 2 rain")
    assert rows[0].endswith("  -7.0   3.0 dB  S")
    assert rows[1].endswith("  -8.0   0.0 dB M")
    assert rows[2].endswith("  -9.0  -inf dB")
    bars = {min(row.index(mark) for mark in "#=." if mark in row[17:]) for row in rows}
    assert len(bars) == 1
    names = "Input", "Output"
    assert [line_of(text, name)[-6:] for name in names] == ["  -6.0", " -10.0"]


def test_the_delay_by_parts_in_milliseconds() -> None:
    """128 samples collected, 128 of overlap, 96 held back, 48 in the driver: 1/48 ms each."""
    text = drawn(SCENE)
    parts = ("device in", "block  ", "algorithm", "adaptation", "device out", "total")
    found = [" ".join(line_of(text, part)[19:31].split()) for part in parts]
    assert found == ["1.00 ms", "2.67 ms", "2.67 ms", "2.00 ms", "unknown", "over 8.33 ms"]
    known = replace(BUDGET, driver_output=0)
    text = drawn(replace(SCENE, report=replace(REPORT, latency=known)))
    assert "   8.33 ms" in line_of(text, "total")
    ends = {len(line_of(text, part)[:31]) - line_of(text, part)[:31].count("\n") for part in parts}
    assert ends == {31}


def test_two_clocks_are_part_of_the_delay() -> None:
    bridge = Latency(48000, (("clock bridge", 224), ("resampler", 19)))
    text = drawn(replace(SCENE, report=replace(REPORT, latency=replace(BUDGET, bridge=bridge))))
    assert "   5.06 ms" in line_of(text, "clock bridge")
    assert not any(line.startswith("   block ") for line in text)


def test_on_jack_the_devices_have_the_block_and_ports_may_be_loose() -> None:
    latency = replace(BUDGET, block=0, driver_output=0)
    report = replace(REPORT, latency=latency, loose=("in_1", "in_2", "out_1", "out_2"))
    text = drawn(replace(SCENE, report=report))
    assert not any(line.startswith("   block") for line in text)
    assert "   5.67 ms" in line_of(text, "total")  # 128 of overlap, 96 held back, 48 in the driver
    assert text[3] == (
        "nothing is connected to in_1, in_2, out_1, out_2: a DAW or a patchbay does that"
    )
    assert not any("connected" in line for line in drawn(replace(SCENE, report=report, lost=True)))


def test_the_load_and_what_went_wrong() -> None:
    text = drawn(SCENE)
    rows = {
        "p50": "10 %",
        "p99": "30 %",
        "overloads": "7",
        "xruns": "5",
        "late  ": "4",  # three hops, one block of a worker
        "faults": "3",  # one of a callback, two of the network
    }
    for name, value in rows.items():
        assert line_of(text, name).endswith(f" {value}")


def test_what_is_heard() -> None:
    heard = (("acoustic guitar", 0.841), ("rain", 0.2))
    text = drawn(replace(SCENE, report=replace(REPORT, heard=heard)))
    assert text[3] == "hears acoustic guitar (84 %), rain (20 %)"
    text = drawn(replace(SCENE, report=replace(REPORT, heard=())))
    assert text[3] == "hears nothing it is sure of"
    lost = drawn(replace(SCENE, report=replace(REPORT, heard=heard), lost=True))
    for lines in (lost, drawn(SCENE)):
        assert not any("hears" in line for line in lines)


def test_a_recording() -> None:
    recorded = Recorded("takes/now", 96_000 * 40, 480)
    text = drawn(replace(SCENE, report=replace(REPORT, recording=recorded)))
    assert text[3] == "REC 1:20 into takes/now, 480 samples lost"
    ended = replace(recorded, error="No space left on device")
    text = drawn(replace(SCENE, report=replace(REPORT, recording=ended)))
    assert text[3] == "recording ended after 1:20: No space left on device"


def test_bypass_and_no_keyboard() -> None:
    text = drawn(replace(SCENE, bypass=True, keys=False))
    assert line_of(text, "Output").endswith("BYPASS")
    assert text[-1] == "Ctrl-C ends it"
    assert not any(line.startswith(">") for line in text)


@pytest.mark.parametrize("size", [(100, 30), (80, 24), (56, 18), (40, 12)], ids=str)
def test_help_is_there_and_goes(size: tuple[int, int]) -> None:
    text = "\n".join(drawn(replace(SCENE, help=True), *size))
    for what in ("mute it", "solo it", "bypass: ", "quit; "):
        assert what in text
    assert "…" not in text or size[0] < 64
    assert "mute it" not in "\n".join(drawn(SCENE, *size))


def test_a_narrow_terminal_has_the_figures_in_a_line() -> None:
    text = drawn(SCENE, 50, 20)
    assert line_of(text, "load") == "8.33 ms  load 10 % p99 30 %  late 7  xruns 5  faul"[:49] + "…"
    assert text[-1] == "? help  q quit"


def test_a_short_terminal_keeps_the_meters_and_the_chosen_strip() -> None:
    text = drawn(replace(SCENE, selected=2), 80, 4)
    assert [line[3:11].strip() for line in text] == ["Input", "rain", "the rest", "Output"]
    text = drawn(SCENE, 80, 3)
    assert [line[3:16].strip() for line in text] == ["Input", "a dog barking", "Output"]


def test_words_are_typed_where_the_keys_were() -> None:
    typing = prompt("a do")
    assert drawn(replace(SCENE, prompt=typing))[-3:] == [
        "a dog, a dog barking",
        "Tab takes the first  Enter asks for it  Esc leaves it",
        "1 in place of rain: a do",
    ]
    typing.offers, typing.error = [], "that is no word"
    assert drawn(replace(SCENE, prompt=typing))[-3:-1] == ["any words will do", "that is no word"]
    for height in range(4, 24):
        text = drawn(replace(SCENE, prompt=typing), 80, height)
        assert text[-2:] == ["that is no word", "1 in place of rain: a do"]


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.9, 60, 3599, 3600)] == [
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
    ]
