"""The network of a windowed bundle: spectrograms of blocks in, masks out, nothing remembered."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from . import cuda
from .binding import Buffers, Run
from .bundle import Bundle
from .compute import start_on
from .denormals import FlushDenormals
from .errors import BundleError, SoloistError
from .ort import first_line, run_in_time

Floats = NDArray[np.float32]


class MaskNetwork:
    """A windowed bundle on one device, for `channels` channels.

    Write `spectrogram` [B, F, T, 2], one block a channel, call it and read the masks. They are host
    memory on every device; on CUDA the work of a window is recorded once, per thread, and replayed.
    A graph that takes one channel is run once a channel, any other once for all of them; for many
    streams at once `channels` is streams times channels.

    `device` and `threads` as in `Session`. `queries` Q is what the masks are for: the baked ones,
    or as many as `conditioning` [Q, D] has. `parts` M is 1 for real masks, 2 for their real and
    imaginary part.

    Raises `DeviceError` for a device that is not there, `BundleError` for a bundle that is not
    windowed, `ValueError` for a conditioning that it cannot take.
    """

    parts: int
    spectrogram: Floats

    def __init__(
        self,
        bundle: Bundle,
        *,
        channels: int = 1,
        device: str = "auto",
        threads: int = 1,
        conditioning: Floats | None = None,
    ) -> None:
        if bundle.spec.kind != "windowed":
            raise BundleError(f"{bundle.path} is a {bundle.spec.kind} bundle, which has no windows")
        self.queries = len(bundle.spec.queries) if conditioning is None else len(conditioning)
        self._conditioning_size = bundle.conditioning_size
        self._own: Floats | None = None
        if conditioning is not None:
            self.check(conditioning)
            self._own = np.array(conditioning, np.float32)
        self._flush = FlushDenormals()
        start = partial(self._start, channels, bundle.spec.emitted_frames or 0)
        start_on(bundle.path, device, start, threads=threads, graphs=True)

    def _start(
        self,
        channels: int,
        emitted: int,
        session: onnxruntime.InferenceSession,
        provider: str,
    ) -> None:
        self.provider = provider
        batch, bins, frames = session.get_inputs()[0].shape[:3]
        (masks,) = session.get_outputs()
        self.parts = masks.shape[-1]
        self._check_queries(session)
        self.spectrogram = np.zeros((channels, bins, frames, 2), np.float32)
        shape = (channels, self.queries, bins, emitted, self.parts)
        self._masks: Floats = np.zeros(shape, np.float32)
        together = channels if batch != 1 else 1
        rows = [slice(first, first + together) for first in range(0, channels, together)]
        buffers = [
            Buffers(
                session,
                provider,
                {"spectrogram": self.spectrogram[some]},
                {"masks": self._masks[some]},
            )
            for some in rows
        ]
        # The graph has its own default, which only a run without the input takes.
        self._baked = [] if self._own is not None else [each.bind({}, {}) for each in buffers]
        self._asked: list[Run] = []
        if self._conditioning_size:
            words = np.zeros((self.queries, self._conditioning_size), np.float32)
            self._words = buffers[0].place(words if self._own is None else self._own.copy())
            self._asked = [each.bind({"conditioning": self._words}, {}) for each in buffers]
        if provider.startswith("cuda"):
            self._try()

    def _try(self) -> None:
        """The first runs on a GPU, which allocate: where they fail "auto" can still take another.

        Elsewhere they would only delay whoever does not play.
        """

        def run(options: onnxruntime.RunOptions) -> None:
            with self._flush:
                for each in self._baked or self._asked:
                    each(cuda.unrecorded(options))
            self.warm_up()

        run_in_time(run)

    def check(self, conditioning: Floats) -> None:
        """Raise `ValueError` unless `conditioning` is [Q, D]; folded queries have no D."""
        if not self._conditioning_size:
            raise ValueError("this model's queries are folded into it and cannot be others")
        wanted = (self.queries, self._conditioning_size)
        if conditioning.shape != wanted:
            raise ValueError(f"conditioning is {conditioning.shape}, this network takes {wanted}")

    def _check_queries(self, session: onnxruntime.InferenceSession) -> None:
        if self._own is None:
            return
        free = session.get_overridable_initializers()[0].shape[0]
        if isinstance(free, int) and free != self.queries:
            raise ValueError(
                f"found {self.queries} queries, the model takes {free}; it was exported so"
            )

    def __call__(self, conditioning: Floats | None = None) -> Floats:
        """Masks [B, Q, F, E, M] of the `spectrogram`, which stand until the next call.

        `conditioning` None: what the network was made with.
        One thread at a time, for as long as the network takes; the interpreter lock is free then.
        Raises `BundleError` for a graph that fails, or gives another shape than its bundle
        promises, `ValueError` for a conditioning of another shape.
        """
        wanted = self._own if conditioning is None else conditioning
        if wanted is None:
            self._run(self._baked)
        else:
            self.check(wanted)
            self._words.update_inplace(np.asarray(wanted, np.float32))
            self._run(self._asked)
        return self._masks

    def warm_up(self) -> None:
        """Make this thread's first window as quick as the others: CUDA records runs per thread.

        On other devices there is nothing to make. The masks are overwritten.
        """
        if self.provider.startswith("cuda"):
            self._run(self._baked)
            self._run(self._asked)

    def _run(self, runs: Sequence[Run]) -> None:
        try:
            with self._flush:
                for run in runs:
                    run()
        except SoloistError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no other base class
            raise BundleError(f"the graph cannot be run ({first_line(error)})") from error
