"""What a benchmark found, as one record: from measuring to JSON, table and page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.errors import BundleError, SoloistError
from ..runtime.records import decode, parse_object
from .statistics import Statistics

FORMAT = 1
_MAX_BYTES = 1 << 26


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """A fresh process until its first block is out, in milliseconds: medians of `processes`.

    `imported` libraries and Soloist, `loaded` the model and prepared, `first_block` played. The
    interpreter itself has started before. `memory_mb` is what the process then keeps in memory.
    """

    processes: int
    imported_ms: float
    loaded_ms: float
    first_block_ms: float
    memory_mb: float | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One setting of a model, or one of another program on the same work.

    `name` is what people call it, `setting` its choices by name (device, precision, threads, block,
    queries, streams, channels, advance), `provider` where it ran. A block has `block` frames at
    `sample_rate` Hertz, and lasts as long as its deadline. `latency` are samples by the part that
    adds them, from a sound to the same sound separated, without what a sound card adds.

    back_to_back  a block as soon as the one before is done
    paced         a block each time one is due: what it took once it had begun
    response      the same hops, from when they were due until they were done: the machine's wake-up
                  is in it, and what is longer than a block is heard
    windows       of windowed models: what each window took, by the advance that it may take
    held          and the paced hops that held the last masks, as their window had not come
    parts_us      by way ("back to back", "paced"), the medians of what a hop is made of
    cpu_share     of a core, while playing paced, all threads
    warm_up_us    the first blocks after loading, which no other figure counts
    si_sdri_db    what the setting gains on the mixtures that come with Soloist, mean
    """

    name: str
    setting: Mapping[str, Any]
    provider: str
    sample_rate: int
    block: int
    latency: Mapping[str, int]
    back_to_back: Statistics
    paced: Statistics | None = None
    response: Statistics | None = None
    windows: Statistics | None = None
    held: int | None = None
    parts_us: Mapping[str, Mapping[str, float]] | None = None
    cpu_share: float | None = None
    warm_up_us: tuple[float, ...] = ()
    cold_start: ColdStart | None = None
    si_sdri_db: float | None = None

    @property
    def latency_ms(self) -> float:
        """All parts of the latency together."""
        return 1000 * sum(self.latency.values()) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The most streams of a setting that one core plays in time: `streams` of them, 0 for none.

    That is, the `percentile` of the time that a block of all of them takes, in microseconds as in
    `tried` by their number, is not above `deadline_us`.
    """

    name: str
    setting: Mapping[str, Any]
    percentile: str
    streams: int
    deadline_us: float
    tried: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that was measured in one go, on one machine.

    `taken` is when, as ISO 8601 in UTC; `label` names the machine or the run. `wakeups` are empty
    hops, in turns with the others: from when they were due until they ran. What is in them is the
    machine, not Soloist. `absent` says of each choice that could not be measured why.
    """

    label: str
    taken: str
    environment: Mapping[str, Any]
    measurements: tuple[Measurement, ...]
    wakeups: Statistics | None = None
    absent: Mapping[str, str] | None = None
    fits: tuple[Fit, ...] = ()
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BundleError(f"format is {self.format}, expected {FORMAT}; update Soloist")
        if not self.measurements:
            raise BundleError("there is no measurement in it")


def read_run(path: Path) -> Run:
    """A run that was kept as JSON. Raises `SoloistError` for a file that is none."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BundleError(f"it has more than {_MAX_BYTES} bytes")
        return decode(Run, parse_object(path.read_text("utf-8"), "its text"), "it")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
    except BundleError as error:
        reason = str(error).partition("; export")[0]
    raise SoloistError(
        f"{str(path)!r} cannot be read as a result ({reason}); "
        "take a file that `soloist bench --json` wrote"
    )
