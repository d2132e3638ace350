"""`soloist live --json`: what happens, one JSON object a line on stdout, and figures each second.

`docs/live.md` describes them, `docs/live-events.schema.json` to the letter.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ... import __version__
from ...runtime.errors import SoloistError
from ...streaming.live.budget import LatencyBudget
from ...streaming.live.levels import Level, Levels, decibels
from ...streaming.live.report import Report
from ..console import emit_json
from .view import Event, Lines

_FIGURES_S = 1.0


class EventLines(Lines):
    """A `View` that prints events for programs, and for people what `Lines` does."""

    def __init__(self, model: str, mode: str, words: Sequence[str], negatives: Sequence[str]):
        super().__init__()
        self._asked = {
            "model": model,
            "mode": mode,
            "queries": list(words),
            "negatives": list(negatives),
        }
        self._began = self._due = 0.0
        self._peaks: list[float] = []  # since the last figures

    def __exit__(self, *error: Any) -> None:
        _, problem, _ = error
        if problem is not None:  # else `finish` tells
            code = problem.exit_code if isinstance(problem, SoloistError) else 1
            code = 130 if isinstance(problem, KeyboardInterrupt) else code
            self._emit("ended", exit_code=code, text=str(problem) or type(problem).__name__)

    def start(self, report: Report) -> None:
        """See `View`."""
        super().start(report)
        self._began = time.monotonic()
        self._due = self._began + _FIGURES_S
        wiring, meters = report.wiring, report.meters
        assert wiring is not None and meters is not None
        self._emit(
            "started",
            version=__version__,
            **self._asked,
            input={"device": wiring.source, "channels": wiring.input_channels},
            output={"device": wiring.sink, "channels": wiring.output_channels},
            sample_rate=wiring.sample_rate,
            model_rate=wiring.model_rate,
            block=meters.block,
            provider=wiring.provider,
            memory_locked=report.memory_locked,
            kept_awake=report.kept_awake,
            **_of(report),
        )

    def show(self, report: Report) -> None:
        """See `View`."""
        super().show(report)
        assert report.levels is not None
        peaks = [level.peak for level in _signals(report.levels)]
        self._peaks = [max(pair) for pair in zip(self._peaks or peaks, peaks, strict=True)]
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _FIGURES_S
            self._emit("figures", **self._figures(report))
            self._peaks = []

    def tell(self, event: Event, text: str, report: Report | None = None) -> None:
        """See `View`."""
        super().tell(event, text, report)
        self._emit(event, text=text, **(_of(report) if report is not None else {}))

    def finish(self, report: Report | None, code: int) -> None:
        """See `View`."""
        super().finish(report, code)
        figures = self._figures(report) if report is not None else {}
        text = report.fault or None if report is not None else None
        self._emit("ended", exit_code=code, text=text, **figures)

    def _figures(self, report: Report) -> dict[str, Any]:
        meters, counters, levels = report.meters, report.counters, report.levels
        assert meters is not None and counters is not None and levels is not None
        input_, *stems, rest, output = [
            {"peak": decibels(peak), "rms": decibels(level.rms), "clips": level.clips}
            for level, peak in zip(
                _signals(levels), self._peaks or [x.peak for x in _signals(levels)], strict=True
            )
        ]
        return {
            "seconds": time.monotonic() - self._began,
            "levels": {"input": input_, "stems": stems, "rest": rest, "output": output},
            "heard": None
            if report.heard is None
            else [{"sound": name, "presence": presence} for name, presence in report.heard],
            "load": {
                "p50": meters.share_of_block(meters.process_p50_ms),
                "p99": meters.share_of_block(meters.process_p99_ms),
            },
            "blocks": meters.callbacks,
            "overloads": meters.overloads,
            "xruns": meters.xruns,
            "faults": meters.faults,
            "hops": asdict(counters),
            "recording": None if report.recording is None else asdict(report.recording),
        }

    def _emit(self, event: str, **facts: object) -> None:
        try:
            emit_json({"event": event, "time": time.time(), **facts}, indent=None)
        except BrokenPipeError:  # whoever listened has gone, and wants no more of it
            self.ended = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of(report: Report) -> dict[str, Any]:
    """What a report says once, when audio begins or changes."""
    assert report.latency is not None
    folder = None if report.recording is None else report.recording.folder
    return {"latency": _latency(report.latency), "folder": folder}


def _latency(budget: LatencyBudget) -> dict[str, Any]:
    drivers = {"driver in": budget.driver_input, "driver out": budget.driver_output}
    unknown = [name for name, frames in drivers.items() if frames is None]
    return {**budget.whole.json(), "unknown": unknown}


def _signals(levels: Levels) -> list[Level]:
    return [levels.input, *levels.stems, levels.output]
