"""The record a bundle carries: everything the engine must know, written once by the export.

It is the JSON text under the key `soloist` of the ONNX file's metadata.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from .errors import BundleError
from .frames import Frames
from .records import decode, parse_object
from .schedule import Schedule

__all__ = ["FORMAT", "Fill", "Frames", "Kind", "Precision", "Query", "Spec"]

FORMAT = 1
Kind = Literal["streaming", "windowed"]
Fill = Literal["zeros", "repeat"]
Precision = Literal["fp32", "int8"]
"""What weights are exported in."""
Stored = Literal["fp32", "fp16", "int8"]
"""What they may be stored in."""

MAX_QUERIES = 256
MAX_TEXT = 1000
"""Letters of one name, licence and the like."""
RATES = range(1_000, 768_001)
"""Sample rates in Hertz, twice what any converter does."""
MAX_BLOCK = 1 << 24
"""Samples that a windowed network may want at once: almost six minutes at 48 kHz."""

_WHERE = "bundle spec"
_WINDOWED = (
    "window_samples",
    "window_frames",
    "emitted_frames",
    "lookahead_frames",
    "advance_frames",
    "crossfade_frames",
    "fill",
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Query:
    """One sound to separate, as it was baked in: one output stem.

    `positive` are the words that name it, `negative` the words it is told apart from (often none);
    either may be missing, but not both. `encoder` names the text encoder and `embedding_sha256` the
    digest of the embedding that the words became, 64 lower-case hexadecimal digits.
    """

    name: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    encoder: str
    embedding_sha256: str

    def __post_init__(self) -> None:
        _check(self.name.strip() != "", "a query's name", self.name, "some text")
        for text in (self.name, *self.positive, *self.negative, self.encoder):
            _check_text("a query", text)
        words = (*self.positive, *self.negative)
        _check(len(words) > 0, f"query {self.name!r}: positive", (), "one word or more")
        _check_digest(f"query {self.name!r}: embedding_sha256", self.embedding_sha256)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a bundle promises. Raises `BundleError` for values that contradict each other.

    `sample_rate` is in Hertz, `latency_samples` in samples at that rate: the delay of the frames,
    the newest hop included; two hops for a "streaming" bundle with the asymmetric windows.
    `residual`: the stems and the residual sum to the input. `training` is any JSON (manifest,
    figures), `parity` figures measured at export. `precision` is that of the large weights, "fp32",
    "fp16" or "int8"; inputs and outputs are float32 in any case. `opposition` is the share of what
    negatives ask for that is taken off each query, see `conditioning_for`; 0 where masks are no
    linear reading of the conditioning, or nobody measured it.

    The last seven fields belong to "windowed" bundles and are None for "streaming" ones. The graph
    takes a block of `window_samples` samples as its `window_frames` centred frames, padded at both
    ends by `frames.padding`, and emits masks for `emitted_frames` of them: all but the newest
    `lookahead_frames` and, where the export has cropped, the oldest. `advance_frames` and
    `crossfade_frames` say how windows follow each other unless a user chooses otherwise, see
    `Schedule`; `fill` what stands in a block for the time before the stream began: "zeros", or the
    audio so far, repeated. Their `latency_samples` is `Schedule.latency_samples` with one whole
    advance for computing.
    """

    name: str
    architecture: str
    version: str
    license: str
    created_with: str
    checkpoint_sha256: str
    training: Mapping[str, Any]
    kind: Kind
    sample_rate: int
    frames: Frames
    queries: tuple[Query, ...]
    residual: bool
    latency_samples: int
    parity: Mapping[str, float]
    precision: Stored = "fp32"
    opposition: float = 0.0
    window_samples: int | None = None
    window_frames: int | None = None
    emitted_frames: int | None = None
    lookahead_frames: int | None = None
    advance_frames: int | None = None
    crossfade_frames: int | None = None
    fill: Fill | None = None
    format: int = FORMAT

    def __post_init__(self) -> None:
        _check(self.format == FORMAT, "format", self.format, f"{FORMAT}; update Soloist")
        _check(self.name.strip() != "", "name", self.name, "some text")
        _check(self.kind in get_args(Kind), "kind", self.kind, " or ".join(get_args(Kind)))
        _check(
            self.sample_rate in RATES,
            "sample_rate",
            self.sample_rate,
            f"{RATES[0]} to {RATES[-1]} Hertz",
        )
        _check_digest("checkpoint_sha256", self.checkpoint_sha256)
        for key in ("name", "architecture", "version", "license", "created_with"):
            _check_text(key, getattr(self, key))
        count = len(self.queries)
        _check(1 <= count <= MAX_QUERIES, "queries", count, f"one query to {MAX_QUERIES}")
        names = [query.name for query in self.queries]
        _check(len(set(names)) == len(names), "queries", names, "names that all differ")
        encoders = sorted({query.encoder for query in self.queries})
        _check(len(encoders) == 1, "queries", encoders, "one and the same encoder")
        for key, figure in self.parity.items():
            _check_text("parity", key)
            _check(math.isfinite(figure), f"parity.{key}", figure, "a finite number")
        _check(0 <= self.opposition <= 1, "opposition", self.opposition, "0 to 1")
        known = get_args(Stored)
        _check(self.precision in known, "precision", self.precision, " or ".join(known))
        if self.kind == "streaming":
            self._check_streaming()
        else:
            self._check_windowed()

    def _check_streaming(self) -> None:
        promised = self.frames.hop + self.frames.overlap
        found = self.latency_samples
        _check(found == promised, "latency_samples", found, f"hop and overlap, {promised}")
        padding = self.frames.padding
        _check(padding == "causal", "frames.padding", padding, "causal in a streaming bundle")
        for key in _WINDOWED:
            value = getattr(self, key)
            _check(value is None, key, value, "null in a streaming bundle")

    def _check_windowed(self) -> None:
        for key in _WINDOWED:
            value = getattr(self, key)
            _check(value is not None, key, value, "a value in a windowed bundle")
        samples = self.window_samples or 0
        _check(samples <= MAX_BLOCK, "window_samples", samples, f"{MAX_BLOCK} at most")
        _check(self.fill in get_args(Fill), "fill", self.fill, " or ".join(get_args(Fill)))
        try:
            schedule = self.schedule()
        except BundleError as error:
            raise BundleError(f"{_WHERE}: {error}") from error
        frames = schedule.window_frames
        _check(
            self.window_frames == frames,
            "window_frames",
            self.window_frames,
            f"{frames}, 1 + window_samples // hop",
        )
        found, promised = self.latency_samples, schedule.latency_samples
        _check(found == promised, "latency_samples", found, f"{promised}, see Schedule")

    def schedule(
        self,
        *,
        advance: int | None = None,
        lookahead: int | None = None,
        compute: int | None = None,
    ) -> Schedule:
        """How the windows of a windowed bundle follow each other, in frames and hops.

        `advance` and `lookahead` (the baked frames included) replace the bundle's own, `compute`
        is the budget for one run, else a whole advance. `BundleError` for what it cannot do.
        """
        if self.window_samples is None or self.emitted_frames is None:
            raise BundleError(
                f"model {self.name!r} is {self.kind}, it has no windows to schedule; leave advance "
                "and lookahead out"
            )
        baked, own = self.lookahead_frames or 0, self.advance_frames or 0
        wanted = own if advance is None else advance
        return Schedule(
            frames=self.frames,
            window_samples=self.window_samples,
            emitted=self.emitted_frames,
            baked=baked,
            crossfade=self.crossfade_frames or 0,
            advance=wanted,
            lookahead=baked if lookahead is None else lookahead,
            compute=wanted if compute is None else compute,
        )

    def to_json(self) -> str:
        """The text for the bundle's metadata; `from_json` gives an equal spec back.

        Raises `BundleError` if `training` holds what JSON cannot say, such as NaN.
        """
        try:
            return json.dumps(asdict(self), indent=1, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BundleError(f"{_WHERE}: training is not JSON ({error})") from error

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """Read and check the text of a bundle's metadata; `BundleError` says what is wrong."""
        # The format comes first: another format may have other keys, and that is not the fault.
        record = parse_object(text, _WHERE)
        found = record.get("format")
        _check(found == FORMAT, "format", found, f"{FORMAT}; update Soloist")
        return decode(cls, record, _WHERE)


def _check(holds: bool, what: str, found: object, expected: str) -> None:
    if not holds:
        raise BundleError(f"{_WHERE}: {what}: found {found!r:.60}, expected {expected}")


def _check_text(what: str, found: str) -> None:
    fits = len(found) <= MAX_TEXT and found.isprintable()
    _check(fits, what, found, f"up to {MAX_TEXT} letters on one line")


def _check_digest(what: str, found: str) -> None:
    _check(_SHA256.fullmatch(found) is not None, what, found, "64 lower-case hexadecimal digits")
