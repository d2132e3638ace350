"""`soloist bench --loopback`: how late a sound comes back through real devices."""

from __future__ import annotations

from pathlib import Path

from ...benchmarks.round_trip import SWEEPS, LoopbackReport, measure
from ...streaming.live.plan import LivePlan
from ..console import answer, emit_json, progress_bar, say, to_json
from ..outputs import write_text


def loopback(plan: LivePlan, json_file: Path | None) -> None:
    """Measure, and print a table or write JSON; `-` is stdout. Raises `SoloistError`."""
    say(f"playing {SWEEPS} sweeps through the devices, and then through Soloist as well")
    with progress_bar("sweeps") as moved:
        report: LoopbackReport = measure(plan, moved=moved)
    if json_file == Path("-"):
        emit_json(report.json())
        return
    answer.print(report.table(), markup=False)
    if json_file is not None:
        write_text(json_file, to_json(report.json()) + "\n")
        say(f"written: {json_file}")
