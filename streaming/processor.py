"""The processor: blocks of any size in, separated blocks of the same size out, at a fixed delay.

The life-cycle is the one that CLAP, VST3 and LV2 share:

    construct → prepare(rate, max_block, channels) → process … → reset → process … → release

Each method says who may call it when. *Control thread* is any one thread that is not the audio
callback; *audio thread* is the one that calls `process`. *Prepared* means between `prepare` and
`release`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.denormals import FlushDenormals
from ..runtime.session import HopSession
from .adapter import BlockAdapter
from .chain import Chain, Change, Tap
from .counters import Counters
from .engine import Engine
from .latency import Latency
from .listening import Heard
from .mixer import Mixer, Splitter
from .pace import Budget
from .parameters import Parameter
from .rates import RateAdapter
from .sessions import SessionSource
from .settings import Settings
from .trailing import TrailingSession

Mode = Literal["keep", "remove"]
Outputs = Literal["mix", "stems"]
Fallback = Literal["dry", "silence"]
Samples = NDArray[np.float32]


class Processor:
    """Separates a stream block by block with the network of a bundle.

    `source` is a bundle, whose session is then made by `prepare` on `device` ("auto", "cpu",
    "cuda[:n]") with `threads`; or a session made elsewhere, for which those two are not used.
    Of a windowed bundle, windows come `advance` frames apart and look `lookahead` frames ahead;
    None takes the bundle's own. `budget` "measured" allows them only the time that they took when
    they were tried out, instead of a whole advance, and so shortens the delay. See
    `WindowedSession`.
    With `trailing` a streaming network runs on a thread of its own, which no block waits for: what
    is heard is each hop under the masks of the block before, no later than else, and where they are
    not there in time under older ones. See `TrailingSession`. `BundleError` for a windowed bundle.
    `conditioning` float32 [Q, D] replaces the baked queries; the last `negatives` of them are
    sounds to tell the others apart from, which belong to the residual.
    A bundle that carries a listener has it hear along, unless `listens` is false: see `Listening`.
    With a `Session` made elsewhere it does so if `conditioning` is given.

    `outputs` "mix": one output, stems and residual by their gains (`mode` sets the first ones).
    "stems": each query's stem and then the residual, in one pass, untouched by parameters. Stems
    and residual sum to the delayed input. `linked` gives all channels the same masks, which keeps
    the stereo image; else each channel has its own.

    Where the network fails for longer than masks can be held, the input goes where the gain is
    highest, so that it is heard ("dry"), or lowest ("silence"); with outputs "stems" it is
    residual.

    The same samples come out whatever the blocks they went in by, for the same promised `block`;
    trailing masks depend on the blocks, if these are longer than a hop.
    """

    def __init__(
        self,
        source: Bundle | HopSession,
        *,
        mode: Mode = "keep",
        outputs: Outputs = "mix",
        fallback: Fallback = "dry",
        linked: bool = False,
        device: str = "auto",
        threads: int = 1,
        conditioning: Samples | None = None,
        negatives: int = 0,
        advance: int | None = None,
        lookahead: int | None = None,
        budget: Budget = "advance",
        trailing: bool = False,
        listens: bool = True,
    ) -> None:
        if threads < 1:
            raise ValueError(f"found threads {threads}, expected 1 or more")
        _check_choice("budget", budget, get_args(Budget))
        _check_choice("mode", mode, get_args(Mode))
        _check_choice("outputs", outputs, get_args(Outputs))
        _check_choice("fallback", fallback, get_args(Fallback))
        self.spec = source.spec
        self.outputs = outputs
        self._sessions = SessionSource(
            source,
            device=device,
            threads=threads,
            conditioning=conditioning,
            advance=advance,
            lookahead=lookahead,
            budget=budget,
            trailing=trailing,
            listens=listens,
            negatives=negatives,
        )
        asked = self._sessions.queries
        if not 0 <= negatives < asked:
            raise ValueError(f"found {negatives} negatives among {asked} queries")
        self.queries = asked - negatives
        self._negatives = negatives
        self._fallback, self._linked = fallback, linked
        self._settings = Settings(self.queries)
        if mode == "remove":
            self.remove()
        self._counters = Counters()
        self._flush = FlushDenormals()
        self._chain: Chain | None = None
        self._taps: tuple[Tap, ...] = ()
        self._channels = 0
        self._block: int | None = None

    # --- life-cycle ------------------------------------------------------------------------------

    def prepare(
        self,
        sample_rate: int,
        max_block: int,
        channels: int,
        *,
        block: int | None = None,
        realtime: bool = False,
    ) -> None:
        """Allocate everything for `channels` and fix the latency. Control thread, not playing.

        `block` is the block size that the host promises; None if it may vary, which costs up to
        one hop of delay more. `max_block` is the largest block to expect; a larger one still works.
        `realtime`: a block that takes longer than it lasts does without the network for the rest
        of its hops, and holds the last masks; without it every hop is computed, however long that
        takes. For a windowed bundle it lets the windows run on a thread of their own, measured
        first; where they take longer than an advance it becomes as long, or `TooSlowError` is
        raised. Without it trailing masks and what a listener hears are waited for. May be called
        again; for as many channels that is quick, the session is kept.

        `sample_rate` is the host's, in Hertz. At another rate than the model's, resampling adds
        about 40 samples of the lower one (0.9 ms at 44.1 kHz), and what is above the bands that
        both can carry is in the residual, not in the stems. `ValueError` for rates more than 256
        times apart, or more than 128 channels of stems to resample; it is then prepared no more.
        """
        if channels < 1 or max_block < 1 or (block is not None and not 1 <= block <= max_block):
            raise ValueError(
                f"found channels {channels}, max_block {max_block} and block {block}; each must be "
                "at least 1, and block at most max_block"
            )
        # At a rate that is none, which is refused below, as at the lowest.
        lasts = max_block * self.spec.sample_rate / max(1, sample_rate)
        hops = math.ceil(lasts / self.spec.frames.hop) + 1
        self._chain = None  # its session may end here
        session = self._sessions.open(channels, realtime=realtime, hops=hops)
        self._counters = counters = Counters()
        engine = Engine(
            session,
            counters,
            self._refuge,
            negatives=self._negatives,
            linked=self._linked,
            listening=self._sessions.listening,
        )
        self._chain = Chain(
            engine,
            BlockAdapter(engine, counters)
            if sample_rate == self.spec.sample_rate
            else RateAdapter(engine, counters, sample_rate, max_block),
            self.outlet(sample_rate, channels, max_block),
            self._settings,
            counters,
            channels,
            max_block,
            realtime=realtime,
        )
        self._chain.taps = self._taps
        self._channels, self._block = channels, block
        self._chain.reset(block)

    def process(
        self, audio: Samples, out: Samples, changes: Sequence[Change] = (), *, due_ns: int = 0
    ) -> None:
        """Separate a block. Audio thread, prepared. Allocates nothing, raises only `ValueError`.

        `audio` is (frames, channels) float32, any number of frames including 0. `out` takes as
        many, (frames, channels) for outputs "mix" and (queries + 1, frames, channels) for "stems";
        for "mix" it may be `audio` itself. `changes` of parameters are in the order of their
        frames, and each ramp begins with its frame. Samples that are NaN, infinite or beyond
        +120 dBFS count as 0, and where the network gives such, see `Counters`.

        `due_ns`, of `time.perf_counter_ns`, is when a block in real time is due; 0 for as long
        after this call as it lasts.
        """
        chain = self._playing()
        self._check(audio, out)
        if changes:
            self._check_changes(changes, len(audio))
        # Overflow in a broken network must not print a warning from the callback.
        with self._flush, np.errstate(all="ignore"):
            chain.process(audio, out, changes, due_ns)

    def separate(self, audio: Samples, stems: Samples) -> None:
        """The stems of a block and no mix. Audio thread, prepared; in place of `process`, with a
        `reset` between the two.

        `audio` is (frames, channels), `stems` takes (queries, frames, channels) float32, delayed
        by `latency_samples`.
        """
        chain = self._playing()
        expected = (self.queries, len(audio), self._channels)
        if audio.shape != expected[1:] or stems.shape != expected:
            raise ValueError(
                f"found blocks of {audio.shape} and {stems.shape}, see Processor.separate"
            )
        with self._flush, np.errstate(all="ignore"):
            chain.separate(audio, stems)

    def reset(self) -> None:
        """Start anew, as if nothing had been played; parameters, block and counters stay.

        Either thread, prepared, not while `process` runs.
        """
        self._playing().reset(self._block)

    def release(self) -> None:
        """Let go of what `prepare` allocated, the session too. Control thread, not playing."""
        self._sessions.close()
        self._chain = None

    def set_block(self, block: int | None) -> None:
        """Fix the latency for the block size the host turns out to use; None if it varies.

        Audio thread (it allocates nothing as large as a block), prepared. Before the first samples
        this is as if `prepare` had been told; later, the stream has one gap as long as the latency.
        """
        self._playing().rearm(block)
        self._block = block

    def set_realtime(self, realtime: bool) -> None:
        """Whether late blocks do without the network, or it is waited for, as in `prepare`.

        For hosts that go offline and back, such as JACK's freewheel mode. Any thread, prepared;
        from the next block on. The latency stays.
        """
        self._playing().set_realtime(realtime)
        self._sessions.wait(not realtime)

    # --- what the host reports -------------------------------------------------------------------

    @property
    def sample_rate(self) -> int:
        """The rate of the model in Hertz, at which nothing needs to be resampled."""
        return self.spec.sample_rate

    @property
    def provider(self) -> str:
        """Where the network runs, "cpu" or "cuda:<index>"; prepared. Any thread."""
        session = self._sessions.current
        if session is None:
            raise ValueError("provider was asked for before prepare")
        return session.provider

    @property
    def beside_ns(self) -> int:
        """For how long the network of trailing masks has computed since `prepare` made it, beside
        the audio thread; else 0. Any thread.
        """
        session = self._sessions.current
        return session.spent_ns if isinstance(session, TrailingSession) else 0

    @property
    def latency(self) -> Latency:
        """Delay from a block handed in to the same audio in a block handed out; prepared.

        Constant while prepared, but for `set_block`. Any thread.
        """
        return self._playing().latency

    @property
    def latency_samples(self) -> int:
        """`latency.total`, what a host compensates; prepared."""
        return self.latency.total

    @property
    def tail_samples(self) -> int:
        """After the last input sample that is not 0, output follows for at most so many samples.

        Includes the latency; prepared.
        """
        chain = self._playing()
        return chain.latency.total + chain.tail

    @property
    def counters(self) -> Counters:
        """Trouble since `prepare`, still counting. Any thread."""
        return self._counters

    @property
    def heard(self) -> Heard | None:
        """What a listener takes the stream to hold now; None where none listens. Control thread."""
        listening = self._sessions.listening
        return None if listening is None else listening.heard

    # --- parameters; control thread, any time ----------------------------------------------------
    #
    # While playing, a change is ramped over 10 ms from the next block on. A host that hands changes
    # to `process` does not set parameters here at the same time.

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All that can be turned: id, name, unit, range, default and text forms."""
        return self._settings.parameters

    def get(self, parameter: str) -> float:
        """The plain value of a parameter by its id, in its unit."""
        return self._settings[parameter]

    def set(self, parameter: str, value: float | str) -> None:
        """Set a parameter by its id, to a plain value or its text: -6.0, "-6 dB", "on".

        `ValueError` for an id that does not exist or a value out of range.
        """
        self._settings[parameter] = value

    @property
    def state(self) -> dict[str, float]:
        """All plain values by id, for `restore`: what a host saves with its session, beside the
        model and the words.
        """
        return self._settings.values

    def restore(self, state: Mapping[str, float]) -> None:
        """Take over a saved `state`; parameters that it does not name keep their values.

        All or, with `ValueError` for one that does not exist or is out of range, none.
        """
        self._settings.update(state)

    def keep(self) -> None:
        """Hear the queried sounds: stems at 1, residual at 0."""
        self._settings.set_gains(1.0, 0.0)

    def remove(self) -> None:
        """Hear all but the queried sounds: stems at 0, residual at 1."""
        self._settings.set_gains(0.0, 1.0)

    def set_gains(self, stem_gains: float | Sequence[float], residual_gain: float) -> None:
        """Linear gains: one for all stems or one each, and one of the residual. All at 1 give the
        delayed input. `ValueError` for one that is not 0 to +12 dB.
        """
        self._settings.set_gains(stem_gains, residual_gain)

    @property
    def gains(self) -> tuple[float, ...]:
        """The linear gain of each stem, then of the residual; mute and solo apart."""
        return self._settings.gains

    @property
    def wet(self) -> float:
        """Share of the separated sound, 0 to 1; the rest is the input, delayed by the same time."""
        return self.get("wet") / 100.0

    @wet.setter
    def wet(self, share: float) -> None:
        self.set("wet", 100.0 * share)

    @property
    def bypass(self) -> bool:
        """Whether only the delayed input is heard. The network goes on, so it is ready at once."""
        return bool(self.get("bypass"))

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self.set("bypass", float(bypass))

    def set_conditioning(self, conditioning: Samples) -> None:
        """Ask for other sounds: float32 [Q, D], as many as now, negatives included.

        Control thread. The conditioning glides to the new one over 20 ms, and the network's memory
        goes on, so nothing jumps: see `Glide`.

        Where nobody knows the present one, as in a bundle without a vocabulary of its own, the new
        one applies at once. `ValueError` for another number of queries, or of features than the
        bundle has, and for one that is not finite.
        """
        kept = self._sessions.ask(conditioning)
        if self._chain is not None:
            self._chain.set_conditioning(kept)

    def add_tap(self, tap: Tap) -> None:
        """Let `process` hand what it mixes to `tap` as well, piece by piece, until `remove_tap`.

        `tap(input, stems)` is given float32 arrays (frames, channels), the input being as late as
        the stems, and (queries, frames, channels), both good until it returns. It is called on the
        audio thread: it must neither wait nor raise. Any thread, one at a time.
        """
        self._set_taps((*self._taps, tap))

    def remove_tap(self, tap: Tap) -> None:
        """Hand nothing to `tap` any more, if it was added. As `add_tap`."""
        self._set_taps(tuple(each for each in self._taps if each != tap))

    def outlet(self, sample_rate: int, channels: int, max_frames: int) -> Mixer | Splitter:
        """What makes outputs of stems by these settings, for stems brought to another rate."""
        if self.outputs == "mix":
            return Mixer(self._settings, sample_rate, channels, max_frames)
        return Splitter(channels, max_frames)

    # --- within ----------------------------------------------------------------------------------

    def _set_taps(self, taps: tuple[Tap, ...]) -> None:
        self._taps = taps
        if self._chain is not None:
            self._chain.taps = taps

    def _playing(self) -> Chain:
        if self._chain is None:
            raise ValueError("the processor was used before prepare")
        return self._chain

    def _refuge(self) -> int:
        """Where the input goes without stems: the number of a stem, or of the residual."""
        if self.outputs == "stems":
            return self.queries
        weights = self._settings.weights
        return weights.loudest if self._fallback == "dry" else weights.quietest

    def _check(self, audio: Samples, out: Samples) -> None:
        block = (len(audio), self._channels)
        expected = block if self.outputs == "mix" else (self.queries + 1, *block)
        if audio.shape != block or out.shape != expected:
            raise ValueError(
                f"found blocks of {audio.shape} and {out.shape}, see Processor.process"
            )
        if audio.dtype != np.float32 or out.dtype != np.float32:
            raise ValueError(f"found samples of {audio.dtype} and {out.dtype}, expected float32")

    def _check_changes(self, changes: Sequence[Change], frames: int) -> None:
        last = 0
        for frame, parameter, value in changes:
            if not isinstance(frame, int | np.integer) or not last <= frame <= frames:
                raise ValueError(
                    f"found a change at frame {frame} after one at {last}, in a block of {frames}"
                )
            last = frame
            self._settings.check(parameter, value)


def _check_choice(what: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise ValueError(f"found {what} {found!r}, expected one of {known}")
