"""Sessions: a bundle advanced by one hop a call, in buffers that are bound once."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from . import cuda
from .binding import Buffers
from .bundle import Bundle
from .compute import start_on
from .denormals import FlushDenormals
from .errors import BundleError
from .ort import run_in_time
from .spec import Spec

Floats = NDArray[np.float32]
Trouble = Literal["late", "numbers", "absurd", "error"]


class HopSession(Protocol):
    """What the engine asks of a session: `Session`, `PassThroughSession`, or a fake of your own.

    The engine writes `spectrum` [B, F, 2], calls `step` and reads `stems` [B, Q, F, 2], which
    stand until the next step; last axis real and imaginary part, B channels, Q queries, F bins.
    They belong to `mixture` [B, F, 2]: `spectrum` itself, or where a session needs to look ahead
    that of `delay` hops before. All three stay the same arrays for the session's life, and whoever
    reads `stems` may write to them. `conditioning` [Q, D] is the latest, None if it is not known.
    One thread at a time.
    """

    @property
    def spec(self) -> Spec: ...
    @property
    def spectrum(self) -> Floats: ...
    @property
    def mixture(self) -> Floats: ...
    @property
    def stems(self) -> Floats: ...
    @property
    def delay(self) -> int: ...
    @property
    def conditioning(self) -> Floats | None: ...
    @property
    def queries(self) -> int: ...
    @property
    def state_size(self) -> int: ...
    @property
    def provider(self) -> str: ...
    def step(self) -> None: ...
    def reset(self) -> None: ...
    def set_conditioning(self, conditioning: Floats) -> None: ...


@runtime_checkable
class BlockSession(HopSession, Protocol):
    """A session whose network hears blocks of audio, at its own pace, and not in `step`.

    Each hop's samples are handed to `hear` before its `step`, which is quick and never left out.
    Where the masks of a hop did not come, `trouble` says why after the step, and `stems` are not
    to be used; the last good masks are, for `hold_seconds`. `latency` are named parts, in samples,
    of the delay from an input hop to its stems. `close` ends what computes: control thread.
    """

    @property
    def trouble(self) -> Trouble | None: ...
    @property
    def hold_seconds(self) -> float: ...
    @property
    def latency(self) -> tuple[tuple[str, int], ...]: ...
    def hear(self, samples: Floats) -> None: ...
    def close(self, limit_s: float = 2.0) -> bool: ...


class Session:
    """A streaming bundle on one device, with the recurrent state of `channels` channels.

    For many streams at once `channels` is streams times channels: they are computed as one batch.

    `device` is "cpu", "cuda", "cuda:<index>", or "auto": CUDA where it is usable, else the CPU
    (`provider` says which it became), or one of `compute.OTHERS`. `threads` is for the CPU; more
    than one seldom pays within a hop. `conditioning` [Q, D] replaces the baked queries. `graphs`
    False keeps CUDA from recording the work of a hop, `unfold` makes weights in int8 float32 while
    they are loaded: both are slower, and for comparisons.

    Raises `DeviceError` for a device that is not there, `BundleError` for a bundle that cannot be
    stepped, `ValueError` for a conditioning of the wrong shape.

    `spectrum` and `stems` are host memory on every device; state and conditioning live where the
    network runs. On CUDA weights in int8 are taken as float32, and the work of a hop is recorded
    once, per thread, and replayed.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        channels: int = 1,
        device: str = "auto",
        threads: int = 1,
        conditioning: Floats | None = None,
        graphs: bool = True,
        unfold: bool = False,
    ) -> None:
        if bundle.spec.kind != "streaming":
            raise BundleError(
                f"{bundle.path} is a {bundle.spec.kind} bundle, which has no hop to step; "
                "use a streaming bundle"
            )
        self.bundle, self.spec = bundle, bundle.spec
        self.state_size = bundle.state_size
        self.queries = len(bundle.spec.queries) if conditioning is None else len(conditioning)
        self._conditioning_size = bundle.conditioning_size
        bins = bundle.spec.frames.bins
        self.spectrum: Floats = np.zeros((channels, bins, 2), np.float32)
        self.mixture = self.spectrum
        self.delay = 0
        self.stems: Floats = np.zeros((channels, self.queries, bins, 2), np.float32)
        self.conditioning: Floats | None = None
        self._fresh: Floats = np.zeros((channels, self.state_size), np.float32)
        self._flush = FlushDenormals()
        start = partial(self._start, conditioning)
        start_on(bundle.path, device, start, threads=threads, graphs=graphs, unfold=unfold)

    def _start(
        self,
        conditioning: Floats | None,
        session: onnxruntime.InferenceSession,
        provider: str,
    ) -> None:
        self.provider = provider
        self._records = cuda.records(session)
        arrays = {"spectrum": self.spectrum}, {"stems": self.stems}
        buffers = self._buffers = Buffers(session, provider, *arrays)
        first, second = buffers.place(self._fresh.copy()), buffers.place(self._fresh.copy())
        self._states = first, second
        # Each run reads one state and writes the other.
        self._current = buffers.bind({"state": first}, {"next_state": second})
        self._next = buffers.bind({"state": second}, {"next_state": first})
        self._conditioning: onnxruntime.OrtValue | None = None
        if conditioning is not None:
            self.set_conditioning(conditioning)
        self._try()

    def step(self) -> None:
        """Advance one hop: `spectrum` and the state become `stems` and the next state.

        Audio thread. Allocates nothing of its own.
        """
        run = self._current
        with self._flush:
            run()
        self._current, self._next = self._next, run

    def _try(self) -> None:
        """One run, whose results are forgotten: each other hop takes the same work and memory.

        It also makes the allocations that would make the first one late.
        """

        def run(options: onnxruntime.RunOptions) -> None:
            with self._flush:
                self._current(cuda.unrecorded(options))
            if self._records:
                self.step()
                self.step()

        run_in_time(run)
        self.stems.fill(0.0)
        self.reset()

    def reset(self) -> None:
        """Forget the past: back to the zero state. Queries stay. Audio thread, between steps."""
        for state in self._states:
            state.update_inplace(self._fresh)

    def set_conditioning(self, conditioning: Floats) -> None:
        """Ask for other queries, [Q, D], from the next step on; the state stays.

        Audio thread, between steps: a copy of Q x D numbers. Q stays what it was made with, and
        `ValueError` says so otherwise.
        """
        wanted = (self.queries, self._conditioning_size)
        if conditioning.shape != wanted:
            raise ValueError(f"conditioning is {conditioning.shape}, this session takes {wanted}")
        if self.conditioning is None or self._conditioning is None:
            # so far the graph used its default
            self.conditioning = np.array(conditioning, np.float32, order="C")
            words = self._conditioning = self._buffers.place(self.conditioning.copy())
            self._current = self._current.add("conditioning", words)
            self._next = self._next.add("conditioning", words)
        else:
            np.copyto(self.conditioning, conditioning)
            self._conditioning.update_inplace(self.conditioning)


class PassThroughSession:
    """A session without a network: each stem is the spectrum times a weight.

    What shows the engine by itself. One weight a query, as many as `spec` has queries; its
    conditioning is those weights, [Q, 1]. By default they are 1/Q, so that the stems sum to the
    input.
    """

    def __init__(
        self, spec: Spec, *, channels: int = 1, weights: Sequence[float] | None = None
    ) -> None:
        self.spec = spec
        self.queries = len(spec.queries)
        self.state_size = 0
        self.provider = "cpu"
        bins = spec.frames.bins
        self.spectrum: Floats = np.zeros((channels, bins, 2), np.float32)
        self.mixture = self.spectrum
        self.delay = 0
        self.stems: Floats = np.zeros((channels, self.queries, bins, 2), np.float32)
        self._weights: Floats = np.full((self.queries, 1, 1), 1 / self.queries, np.float32)
        if weights is not None:
            self.set_conditioning(np.array(weights, np.float32)[:, None])

    def step(self) -> None:
        """Multiply. Audio thread."""
        np.multiply(self.spectrum[:, None], self._weights, out=self.stems)

    @property
    def conditioning(self) -> Floats | None:
        """The weights, [Q, 1]."""
        return self._weights[:, 0].copy()

    def reset(self) -> None:
        """Nothing is remembered, so nothing is forgotten. Audio thread."""

    def set_conditioning(self, conditioning: Floats) -> None:
        """Take other weights, [Q, 1], from the next step on. Audio thread, between steps."""
        if conditioning.shape != (self.queries, 1):
            raise ValueError(f"weights are {conditioning.shape}, expected {(self.queries, 1)}")
        self._weights[:, 0] = conditioning
