"""What became of the last live session: figures and faults in a small file, for `diagnostics`.

It is the user's own, and holds neither sound nor the words asked for.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import typer

from ... import __version__
from ...runtime.errors import SoloistError
from ...runtime.replacing import replacing
from ...streaming.live.report import Report
from ..console import to_json


class Reporting(Protocol):
    """What has figures of a stream, after its end too."""

    def report(self) -> Report: ...


def path() -> Path:
    """Where the file is, once there was a session."""
    return Path(typer.get_app_dir("soloist")) / "last-session.json"


@contextlib.contextmanager
def remembered(process: Reporting) -> Iterator[list[str]]:
    """A list for what goes wrong in the block, kept with the last figures when it ends.

    What the block raises is kept as well. A file that cannot be written is done without.
    """
    faults: list[str] = []
    try:
        yield faults
    except SoloistError as error:
        faults.append(str(error))
        raise
    except Exception as error:
        faults.append(f"a fault of ours, {type(error).__name__}: {error}")
        raise
    finally:
        with contextlib.suppress(SoloistError, OSError):
            _write(process.report(), faults)


def recall() -> dict[str, Any] | None:
    """What the last session left, None if there was none. `ValueError` or `OSError`: unreadable."""
    if not path().is_file():
        return None
    found = json.loads(path().read_text("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _write(report: Report, faults: list[str]) -> None:
    path().parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "ended": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "soloist": __version__,
        "audio": asdict(report.wiring) if report.wiring else None,
        "latency": str(report.latency) if report.latency else None,
        "meters": asdict(report.meters) if report.meters else None,
        "counters": asdict(report.counters) if report.counters else None,
        "memory locked": "yes" if report.memory_locked else "no",
        "real-time thread": "yes" if report.realtime else "no",
        "processors kept awake": "yes" if report.kept_awake else "no",
        "faults": faults + [report.fault] * bool(report.fault),
    }
    with replacing(path()) as part:
        part.touch(0o600)
        part.write_text(to_json(facts), encoding="utf-8")
