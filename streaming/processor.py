"""The processor: blocks of any size in, separated blocks of the same size out, at a fixed delay.

The life-cycle is the one that CLAP, VST3 and LV2 share:

    construct → prepare(rate, max_block, channels) → process … → reset → process … → release

Each method says who may call it when. *Control thread* is any one thread that is not the audio
callback; *audio thread* is the one that calls `process`. *Prepared* means between `prepare` and
`release`.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.denormals import FlushDenormals
from ..runtime.errors import BundleError
from ..runtime.session import HopSession, Session
from .adapter import BlockAdapter
from .counters import Counters
from .engine import Engine
from .gains import Gains
from .latency import Latency, adapter_delay

Mode = Literal["keep", "remove"]
Outputs = Literal["mix", "stems"]
Samples = NDArray[np.float32]

# A change of gain takes at least this long: below, it is heard as a click (peers: 10 to 50 ms).
RAMP_SECONDS = 0.010


class Processor:
    """Separates a stream block by block with the network of a bundle.

    `source` is a bundle, whose session is then made by `prepare` on `device` ("auto", "cpu",
    "cuda[:n]") with `threads`; or a session made elsewhere, for which those two are not used.
    `conditioning` float32 [Q, D] replaces the baked queries.

    `outputs` "mix": one output, stems and residual by their gains (`mode` sets the first ones).
    "stems": each query's stem and then the residual, in one pass, untouched by gains, wet and
    bypass. Stems and residual sum to the delayed input.

    The same samples come out whatever the blocks they went in by.
    """

    def __init__(
        self,
        source: Bundle | HopSession,
        *,
        mode: Mode = "keep",
        outputs: Outputs = "mix",
        device: str = "auto",
        threads: int = 1,
        conditioning: Samples | None = None,
    ) -> None:
        if source.spec.kind != "streaming":
            raise BundleError(
                f"model {source.spec.name!r} is {source.spec.kind}; live play and files need a "
                "streaming one"
            )
        if mode not in get_args(Mode) or outputs not in get_args(Outputs):
            raise ValueError(
                f"found mode {mode!r} and outputs {outputs!r}, expected one of "
                f"{get_args(Mode)} and one of {get_args(Outputs)}"
            )
        self.spec = source.spec
        self.outputs = outputs
        self._source = source
        self._device, self._threads, self._conditioning = device, threads, conditioning
        if not isinstance(source, Bundle):
            self.queries = source.queries
        elif conditioning is not None:
            self.queries = len(conditioning)
        else:
            self.queries = len(source.spec.queries)
        self._gains = Gains(self.queries)
        if mode == "remove":
            self.remove()
        self._session: HopSession | None = None
        self._engine: Engine | None = None
        self._adapter: BlockAdapter | None = None
        self._counters = Counters()
        self._hop = self.spec.frames.hop
        self._flush = FlushDenormals()
        self._adapter_delay = 0

    # --- life-cycle ------------------------------------------------------------------------------

    def prepare(
        self, sample_rate: int, max_block: int, channels: int, *, block: int | None = None
    ) -> None:
        """Allocate everything for `channels` and fix the latency. Control thread, not playing.

        `block` is the block size that the host promises; None if it may vary, which costs up to
        one hop of delay more. `max_block` is the largest block to expect; a larger one still works.
        Raises `ValueError` if `sample_rate` (Hertz) is not the model's. May be called again; for
        as many channels that is quick, the session is kept.
        """
        if sample_rate != self.spec.sample_rate:
            raise ValueError(
                f"the model {self.spec.name!r} works at {self.spec.sample_rate} Hz, "
                f"found {sample_rate} Hz"
            )
        if channels < 1 or max_block < 1 or (block is not None and not 1 <= block <= max_block):
            raise ValueError(
                f"found channels {channels}, max_block {max_block} and block {block}; each must be "
                "at least 1, and block at most max_block"
            )
        session = self._session = self._session_for(channels)
        self._gains.prepare(math.ceil(RAMP_SECONDS * sample_rate / self._hop))
        self._counters = Counters()
        separate = self.outputs == "stems"
        self._engine = Engine(session, self._gains, self._counters, separate=separate)
        self._adapter = BlockAdapter(self._engine, self._hop, self._counters)
        self._frame_in = (channels,)
        self._frame_out = (self.queries + 1, channels) if separate else (channels,)
        self.set_block(block)
        self.reset()

    def process(self, audio: Samples, out: Samples) -> None:
        """Separate a block. Audio thread, prepared. Allocates nothing, raises only `ValueError`.

        `audio` is (frames, channels) float32, any number of frames including 0. `out` takes as
        many, (frames, channels) for outputs "mix" and (queries + 1, frames, channels) for "stems";
        for "mix" it may be `audio` itself. Samples that are NaN or infinite count as 0, and where
        the network gives such, the delayed input is heard for a hop: see `counters`.
        """
        adapter = self._adapter
        if adapter is None:
            raise ValueError("process was called before prepare")
        frames = (len(audio),)
        target = out if self.outputs == "mix" else out.swapaxes(0, 1)
        if audio.shape != frames + self._frame_in or target.shape != frames + self._frame_out:
            raise ValueError(
                f"found blocks of {audio.shape} and {out.shape}, see Processor.process"
            )
        # Overflow in a broken network must not print a warning from the callback.
        with self._flush, np.errstate(all="ignore"):
            adapter.process(audio, target)

    def reset(self) -> None:
        """Start anew, as if nothing had been played; gains, block and counters stay.

        Either thread, prepared, not while `process` runs.
        """
        if self._engine is None or self._adapter is None:
            raise ValueError("reset was called before prepare")
        self._engine.reset()
        self._adapter.rearm(self._adapter_delay)

    def release(self) -> None:
        """Let go of what `prepare` allocated, the session too. Control thread, not playing."""
        self._engine = self._adapter = self._session = None

    def set_block(self, block: int | None) -> None:
        """Fix the latency for the block size the host turns out to use; None if it varies.

        Audio thread (it allocates nothing), prepared. Before the first samples this is as if
        `prepare` had been told; later, the stream has one gap as long as the adapter's delay.
        """
        if self._adapter is None:
            raise ValueError("set_block was called before prepare")
        self._adapter_delay = adapter_delay(self._hop, block)
        self._adapter.rearm(self._adapter_delay)

    # --- what the host reports -------------------------------------------------------------------

    @property
    def sample_rate(self) -> int:
        """The rate of the model in Hertz, the only one that `prepare` takes."""
        return self.spec.sample_rate

    @property
    def provider(self) -> str:
        """Where the network runs, "cpu" or "cuda:<index>"; prepared. Any thread."""
        if self._session is None:
            raise ValueError("provider was asked for before prepare")
        return self._session.provider

    @property
    def latency(self) -> Latency:
        """Delay from a block handed in to the same audio in a block handed out. Any thread.

        Constant while prepared, but for `set_block`. The hop that the engine collects is not in it:
        where blocks are whole hops, it has arrived with the block.
        """
        parts = (("overlap", self._hop), ("block adapter", self._adapter_delay))
        return Latency(self.spec.sample_rate, parts)

    @property
    def latency_samples(self) -> int:
        """`latency.total`, what a host compensates."""
        return self._hop + self._adapter_delay

    @property
    def tail_samples(self) -> int:
        """After the last input sample that is not 0, output follows for at most so many samples.

        Includes the latency. A sample stays in the analysis window for n_fft samples, and each of
        those frames may sound over the two hops that the synthesis window covers.
        """
        return self.latency_samples + self.spec.frames.n_fft - 1

    @property
    def counters(self) -> Counters:
        """Trouble since `prepare`, still counting. Any thread."""
        return self._counters

    # --- settings; control thread, any time -------------------------------------------------------
    #
    # While playing, a change of gains, wet or bypass is ramped over 10 ms. Other words take over
    # within one hop; see `set_conditioning`.

    def keep(self) -> None:
        """Hear the queried sounds: stems at 1, residual at 0."""
        self._gains.set(1.0, 0.0)

    def remove(self) -> None:
        """Hear all but the queried sounds: stems at 0, residual at 1."""
        self._gains.set(0.0, 1.0)

    def set_gains(self, stem_gains: float | Sequence[float], residual_gain: float) -> None:
        """Linear gains: one for all stems or one each, and one of the residual. All at 1 give the
        delayed input. `ValueError` for one that is negative or not finite.
        """
        self._gains.set(stem_gains, residual_gain)

    @property
    def gains(self) -> tuple[float, ...]:
        """The linear gain of each stem, then of the residual."""
        return self._gains.values

    @property
    def input_weights(self) -> tuple[float, ...]:
        """How much of the delayed input itself is in each output, the stems' share apart.

        One figure for outputs "mix", by gains, wet and bypass; for "stems" 0 each and 1 for the
        residual.
        """
        if self.outputs == "stems":
            return (0.0,) * self.queries + (1.0,)
        return (self._gains.input_weight,)

    def set_conditioning(self, conditioning: Samples) -> None:
        """Ask for other sounds: float32 [Q, D], as many as now. Heard from the next hop on.

        The last frame of the old words and the first of the new ones overlap by a hop, in which the
        one falls as the other rises and their windows sum to 1. So the overlap-add is a cross-fade
        between two filterings of one input, a hop long (2.67 ms for 128 samples at 48 kHz), and
        nothing jumps. Gains need the longer ramp since they may leap from silence to full level.

        `ValueError` for another number of queries, or of features than the bundle has.
        """
        size = self._source.conditioning_size if isinstance(self._source, Bundle) else None
        if conditioning.shape != (self.queries, size or conditioning.shape[-1]):
            raise ValueError(
                f"found a conditioning of {conditioning.shape}, expected ({self.queries}, {size})"
            )
        self._conditioning = conditioning.copy()
        if self._engine is not None:
            self._engine.set_conditioning(self._conditioning)

    @property
    def wet(self) -> float:
        """Share of the separated sound, 0 to 1; the rest is the input, delayed by the same time."""
        return self._gains.wet

    @wet.setter
    def wet(self, share: float) -> None:
        self._gains.wet = share

    @property
    def bypass(self) -> bool:
        """Whether only the delayed input is heard. The network goes on, so it is ready at once."""
        return self._gains.bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self._gains.bypass = bypass

    # --- within ----------------------------------------------------------------------------------

    def _session_for(self, channels: int) -> HopSession:
        source, session = self._source, self._session
        if not isinstance(source, Bundle):
            session = source
            found = session.spectrum.shape[0]
            if found != channels:
                raise ValueError(f"found {channels} channels, the session has {found}")
        elif session is None or session.spectrum.shape[0] != channels:
            return Session(
                source,
                channels=channels,
                device=self._device,
                threads=self._threads,
                conditioning=self._conditioning,
            )
        if self._conditioning is not None:
            session.set_conditioning(self._conditioning)
        return session
