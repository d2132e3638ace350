"""What a model may be played with: one setting, and all those that lists of choices span."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.compute import OTHERS, count_cuda_devices
from ..runtime.errors import SoloistError
from ..runtime.session import Floats, HopSession, Session
from ..streaming.processor import Processor

DEVICES = ("cpu", "cuda", "cuda-graph", *OTHERS)
"""All that `--device all` tries. Live play on "cuda" is "cuda-graph" here; "cuda" launches each
operator of a hop by itself."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to play a model; None is the model's own.

    `block` frames at a time at the model's rate, `queries` at once, `streams` that have nothing to
    do with each other one after the other on one thread, each of `channels` channels in one batch.
    `advance` frames are between two windows of a windowed model.
    """

    device: str = "cpu"
    precision: str | None = None
    threads: int = 1
    block: int | None = None
    queries: int | None = None
    streams: int = 1
    channels: int = 1
    advance: int | None = None

    def of(self, bundle: Bundle) -> Setting:
        """The same with the bundle's own figures in place of None, where it has them."""
        spec = bundle.spec
        return replace(
            self,
            precision=self.precision or spec.precision,
            block=self.block or spec.frames.hop,
            queries=self.queries or len(spec.queries),
            advance=self.advance or spec.advance_frames,
        )

    @property
    def runs_on(self) -> str:
        """The device as sessions take it."""
        return self.device.replace("cuda-graph", "cuda")

    def facts(self) -> dict[str, Any]:
        """The choices by name, without those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        """What differs from the usual, as people say it."""
        usual = Setting()
        named = {k: v for k, v in self.facts().items() if k not in ("device", "precision")}
        told = [f"{v} {k}" for k, v in named.items() if v != getattr(usual, k)]
        return ", ".join([self.device, *filter(None, [self.precision]), *told])


def sweep(choices: Mapping[str, Sequence[Any]]) -> Iterator[Setting]:
    """All combinations of lists of choices, by the name of a `Setting`'s field."""
    names = [field.name for field in fields(Setting) if field.name in choices]
    for values in product(*(choices[name] for name in names)):
        yield Setting(**dict(zip(names, values, strict=True)))


def usual_device() -> str:
    """What `--device auto` comes to in live play here."""
    return "cuda-graph" if count_cuda_devices() else "cpu"


def open_processor(
    bundle: Bundle,
    setting: Setting,
    conditioning: Floats | None = None,
    wrap: Callable[[Session], HopSession] | None = None,
) -> Processor:
    """A processor of a bundle by a setting, not prepared yet; `wrap` goes around a `Session`.

    The bundle's listener hears along if `conditioning` is given, but not beside what is wrapped.

    Raises `SoloistError` for a setting that is not to be had, `ValueError` for a conditioning that
    the model cannot take.
    """
    unfold = _unfolded(bundle, setting.precision)
    if bundle.spec.kind == "windowed":
        return Processor(
            bundle,
            device=setting.runs_on,
            threads=setting.threads,
            conditioning=conditioning,
            advance=setting.advance,
            listens=wrap is None,
        )
    session = Session(
        bundle,
        channels=setting.channels,
        device=setting.runs_on,
        threads=setting.threads,
        conditioning=conditioning,
        graphs=setting.device.startswith("cuda-graph"),
        unfold=unfold,
    )
    if wrap is not None:
        return Processor(wrap(session))
    return Processor(session, conditioning=conditioning)


def random_words(bundle: Bundle, queries: int) -> Floats | None:
    """A conditioning for so many queries; None where the baked ones are as many and will do.

    What the words are does not change the time.
    """
    size = bundle.conditioning_size
    if not size or (bundle.spec.kind == "windowed" and queries == len(bundle.spec.queries)):
        return None
    return np.random.default_rng(0).standard_normal((queries, size)).astype(np.float32)


def _unfolded(bundle: Bundle, precision: str | None) -> bool:
    """Whether int8 weights are to be made float32; `SoloistError` where that is not the way."""
    made = bundle.spec.precision
    if precision in (None, made):
        return False
    if (made, precision) == ("int8", "fp32") and bundle.spec.kind == "streaming":
        return True
    raise SoloistError(
        f"{bundle.path.name} holds weights in {made}, which cannot be played in {precision}; "
        f"give a bundle that was exported so"
    )
