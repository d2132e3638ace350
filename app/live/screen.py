"""The picture that `soloist live` shows on a terminal of any size, as lines of text.

A caller fills in a `Scene`, and `draw` gives the lines: the same ones for the same scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from ...streaming.counters import Counters
from ...streaming.listening import Heard
from ...streaming.live.budget import LatencyBudget
from ...streaming.live.meters import Meters
from ...streaming.live.recorder import Recorded
from ...streaming.live.report import Report, Wiring
from .asking import Prompt
from .desk import Strip
from .level_bars import Glyphs, Shown, bar, number, scale
from .view import unconnected

_WIDEST = 120
# Below it, what stands beside the meters is one line; below that, gains are left out.
_NARROW, _NARROWEST = 64, 48
_SHORTEST_BAR = 4
_COLUMN = 32
# Parts of a processor's delay that come of rates and block sizes; the others are the algorithm's.
_ADAPTATION = ("block adapter", "resampler")
_HOT = 0.8
_GOOD, _CARE, _BAD = "bold #5faf5f", "bold #d7af5f", "bold #d75f5f"

_HELP = (
    ("1-9, arrows", "choose a sound, or the rest"),
    ("+ -", "its gain in steps of 1 dB; so do right and left"),
    ("0", "its gain to 0 dB"),
    ("m", "mute it"),
    ("s", "solo it: only what is soloed is heard"),
    ("w", "other words in its place, while it plays"),
    ("b", "bypass: the input is heard, with the same delay"),
    ("q", "quit; Ctrl-Z leaves the screen, and audio goes on"),
)
_KEYS = (
    ("b", "bypass"),
    ("m", "mute"),
    ("s", "solo"),
    ("w", "words"),
    ("+ -", "gain"),
    ("1-9", "choose"),
)
_NOTES = (
    "Bars are the mean and, darker, the peak; mark and number are its highest",
    "of 2 s. Sounds are metered before gain, mute and solo, grey if not heard.",
)


@dataclass(frozen=True)
class Scene:
    """All that is on the screen.

    `shown` are the meters of the input, of each strip and of the output. `news` is what happened
    last; with `lost` the devices are away, and it is what keeps audio from going on. `keys`:
    whether the keyboard is ours; `prompt` where words are being typed.
    """

    model: str
    task: str
    report: Report
    shown: Sequence[Shown]
    strips: Sequence[Strip]
    selected: int
    bypass: bool
    seconds: float
    news: str = ""
    lost: bool = False
    help: bool = False
    keys: bool = True
    prompt: Prompt | None = None


def draw(scene: Scene, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """At most `height` lines of at most `width` cells; the meters go last where room is scarce."""
    width = min(width, _WIDEST)
    head, foot, summary = _head(scene, width), _foot(scene, width), _summary(scene)
    scale_, input_, *strips, output = _meters(scene, width, glyphs)
    told = foot[-2:] if scene.prompt is not None and scene.prompt.error else foot[-1:]
    last = [output] if scene.prompt is None else told
    body = _help() if scene.help else _figures(scene) if width >= _NARROW else summary
    layouts = [
        [head, [scale_, input_], strips, [output], body, foot],
        [head[:1], body, foot] if scene.help else [],
        [head, [scale_, input_], strips, [output], summary, foot],
        [head[:1], [scale_, input_], strips, [output], summary, foot],
        [[scale_, input_], strips, [output], told],
        [[input_], strips, last],
    ]
    blocks = next((each for each in layouts if 0 < sum(map(len, each)) <= height), layouts[-1])
    if sum(map(len, blocks)) > height:
        room = max(1, height - 1 - len(last))
        first = max(0, min(scene.selected, len(strips) - room))
        blocks = [[input_], strips[first : first + room], last]
    lines: list[Text] = []
    spare = height - sum(map(len, blocks))
    for block in filter(None, blocks):
        if lines and spare > 0:
            lines.append(Text())
            spare -= 1
        lines += block
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:height]


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any: 4:05, 1:00:00."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _head(scene: Scene, width: int) -> list[Text]:
    wiring, meters = scene.report.wiring, scene.report.meters
    assert wiring is not None and meters is not None
    played = clock(scene.seconds)
    title = Text.assemble(("Soloist", "bold"), f"  {scene.model}  ", (scene.task, "bold"))
    title.truncate(max(1, width - len(played) - 2), overflow="ellipsis", pad=True)
    lines = [
        Text.assemble(title, "  ", (played, "dim")),
        Text(_devices(wiring), "dim"),
        Text(
            f"{wiring.sample_rate} Hz{_model_rate(wiring)}, blocks of {meters.block} frames "
            f"({meters.block_ms:.2f} ms), network on {wiring.provider}",
            "dim",
        ),
    ]
    if scene.report.loose and not scene.lost:
        lines.append(Text(unconnected(scene.report.loose), _CARE))
    if scene.report.heard is not None and not scene.lost:
        lines.append(_heard(scene.report.heard))
    if scene.report.recording is not None:
        lines.append(_recording(scene.report.recording, wiring.sample_rate))
    return lines


def _heard(heard: Heard) -> Text:
    names = [f"{name} ({100 * presence:.0f} %)" for name, presence in heard]
    return Text.assemble(("hears ", "dim"), ", ".join(names) or ("nothing it is sure of", "dim"))


def _devices(wiring: Wiring) -> str:
    source, _, of = wiring.source.rpartition(", ")
    sink, _, on = wiring.sink.rpartition(", ")
    both = f"{source} to {sink}, {of}" if of == on else f"{wiring.source} to {wiring.sink}"
    return f"{both} ({wiring.input_channels} in, {wiring.output_channels} out)"


def _model_rate(wiring: Wiring) -> str:
    same = wiring.sample_rate == wiring.model_rate
    return "" if same else f" (the model's: {wiring.model_rate} Hz)"


def _recording(recorded: Recorded, sample_rate: int) -> Text:
    time = clock(recorded.frames / sample_rate)
    if recorded.error:
        return Text(f"recording ended after {time}: {recorded.error}", _BAD)
    return Text.assemble(
        ("REC", _BAD),
        f" {time} into {recorded.folder}, ",
        (f"{recorded.lost} samples lost", _CARE if recorded.lost else "dim"),
    )


def _meters(scene: Scene, width: int, glyphs: Glyphs) -> list[Text]:
    """The scale, the input, each strip, the output: one below the other, in columns."""
    names = ["Input", *(strip.name for strip in scene.strips), "Output"]
    roomy = width >= _NARROWEST
    longest = max(Text(name).cell_len for name in names)
    name_cells = min(longest, max(6, min(24, width // 4)))
    cells = max(_SHORTEST_BAR, width - name_cells - (24 if roomy else 15))
    lines = [Text.assemble(" " * (4 + name_cells), scale(cells))]
    strips = [None, *scene.strips, None]
    for place, (name, strip, shown) in enumerate(zip(names, strips, scene.shown, strict=True)):
        chosen = scene.keys and strip is not None and place == scene.selected + 1
        label = Text(name, "bold" if chosen or strip is None else "")
        label.truncate(name_cells, overflow="ellipsis", pad=True)
        lead = f"{'>' if chosen else ' '}{place if strip else ' ':<2}"
        heard = strip is None or strip.heard
        line = Text.assemble(
            (lead, "bold" if chosen else "dim"),
            *(label, " ", bar(shown, cells, glyphs, heard=heard), " ", number(shown)),
        )
        if strip is not None:
            line.append_text(_setting(strip, roomy))
        elif place and scene.bypass:
            line.append("   BYPASS" if roomy else " BYP", _CARE)
        lines.append(line)
    return lines


def _setting(strip: Strip, roomy: bool) -> Text:
    return Text.assemble(
        (f"{strip.gain:>9}" if roomy else "", "" if strip.heard else "dim"),
        (" M" if strip.mute else "  ", _BAD),
        ("S" if strip.solo else " ", _GOOD),
    )


def _figures(scene: Scene) -> list[Text]:
    """Two columns: the delay by part, the load and what went wrong."""
    latency, meters, counters = scene.report.latency, scene.report.meters, scene.report.counters
    assert latency is not None and meters is not None and counters is not None
    left = [Text("Latency", "bold"), *_latency(latency)]
    right = [Text("Load of a block", "bold"), *_load(meters, counters)]
    lines = []
    left += [Text() for _ in right[len(left) :]]
    for one, other in zip(left, right, strict=True):
        one.pad_right(_COLUMN - one.cell_len)
        lines.append(Text.assemble("   ", one, other))
    return lines


def _latency(budget: LatencyBudget) -> list[Text]:
    rate = budget.processing.sample_rate
    adaptation = sum(n for name, n in budget.processing.parts if name in _ADAPTATION)
    collected: list[tuple[str, int]] = []
    if budget.bridge:
        collected = [("clock bridge", budget.bridge.total)]
    elif budget.block:  # else the devices' share has it
        collected = [("block", budget.block)]
    unknown = None in (budget.driver_input, budget.driver_output)
    parts = [
        ("device in", budget.driver_input),
        *collected,
        ("algorithm", budget.processing.total - adaptation),
        ("adaptation", adaptation),
        ("device out", budget.driver_output),
    ]
    rows = [
        _row(name, "unknown" if n is None else f"{1e3 * n / rate:.2f} ms", "" if n else "dim")
        for name, n in parts
    ]
    total = f"{'over ' if unknown else ''}{budget.whole.ms:.2f} ms"
    return [*rows, _row("total", total, "bold")]


def _load(meters: Meters, counters: Counters) -> list[Text]:
    shares = {
        "p50": meters.share_of_block(meters.process_p50_ms),
        "p99": meters.share_of_block(meters.process_p99_ms),
    }
    counts = {
        "overloads": meters.overloads,
        "xruns": meters.xruns,
        "late": counters.late + counters.dropped,
        "faults": meters.faults + counters.faults,
    }
    return [
        *(
            _row(n, f"{100 * share:.0f} %", _BAD if share > _HOT else "")
            for n, share in shares.items()
        ),
        *(_row(n, str(count), _CARE if count else "dim") for n, count in counts.items()),
    ]


def _row(name: str, value: str, style: str) -> Text:
    return Text.assemble((f"{name:<16}", "dim"), (f"{value:>12}", style))


def _summary(scene: Scene) -> list[Text]:
    """The figures in one line."""
    latency, meters, counters = scene.report.latency, scene.report.meters, scene.report.counters
    assert latency is not None and meters is not None and counters is not None
    faults = meters.faults + counters.faults
    return [
        Text.assemble(
            f"{latency.whole.ms:.2f} ms",
            f"  load {100 * meters.share_of_block(meters.process_p50_ms):.0f} %",
            f" p99 {100 * meters.share_of_block(meters.process_p99_ms):.0f} %",
            f"  late {meters.overloads}  xruns {meters.xruns}",
            (f"  faults {faults}" if faults else "", _BAD),
        )
    ]


def _help() -> list[Text]:
    keys = [Text.assemble("   ", (f"{key:<14}", "bold"), what) for key, what in _HELP]
    return [*keys, *(Text(f"   {note}", "dim") for note in _NOTES)]


def _foot(scene: Scene, width: int) -> list[Text]:
    """What happened last, and what can be done."""
    lines = [Text(scene.news, _BAD if scene.lost else _CARE)] if scene.news else []
    if scene.prompt is not None:
        return [*lines, *_prompt(scene.prompt, width)]
    said = [("?", "help"), ("q", "quit")]
    if width >= _NARROW:
        said = [*_KEYS, *said]
    return [*lines, _keys(said if scene.keys else [("Ctrl-C", "ends it")])]


def _prompt(prompt: Prompt, width: int) -> list[Text]:
    """What may be meant, keys, and last the line that is typed, whose end is always seen.

    What is wrong stands in place of the keys, next to that line: where room is scarce it stays.
    """
    offers = Text("any words will do", "dim")
    if prompt.offers:
        offers = Text.assemble((prompt.offers[0], "bold"), style="dim")
        offers.append("".join(f", {offer}" for offer in prompt.offers[1:]))
    sound = Text(prompt.sound)
    sound.truncate(max(1, width // 3), overflow="ellipsis")
    lead = f"{prompt.number + 1} in place of {sound}: "
    text = prompt.text
    while text and cell_len(lead + text) >= width:
        text = text[1:]
    keys = _keys([("Tab", "takes the first"), ("Enter", "asks for it"), ("Esc", "leaves it")])
    if prompt.error:
        keys = Text(prompt.error, _BAD)
    return [offers, keys, Text.assemble((lead, "dim"), (text, "bold"), (" ", "reverse"))]


def _keys(said: Sequence[tuple[str, str]]) -> Text:
    return Text("  ").join(Text.assemble((key, "bold"), (f" {what}", "dim")) for key, what in said)
