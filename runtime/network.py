"""The network of a windowed bundle: spectrograms of blocks in, masks out, nothing remembered."""

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .compute import open_for
from .denormals import FlushDenormals
from .errors import BundleError

Floats = NDArray[np.float32]


class MaskNetwork:
    """A windowed bundle on one device, for `channels` channels.

    `device` and `threads` as in `Session`. `queries` Q is what the masks are for: the baked ones,
    or as many as `conditioning` [Q, D] has. `parts` M is 1 for real masks, 2 for their real and
    imaginary part.

    Raises `DeviceError` for a device that is not there, `BundleError` for a bundle that is not
    windowed, `ValueError` for a conditioning that it cannot take.
    """

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
        self._session, self.provider = open_for(bundle.path, device, threads=threads)
        (spectrogram,) = self._session.get_inputs()
        batch, bins = spectrogram.shape[:2]
        (masks,) = self._session.get_outputs()
        self.parts: int = masks.shape[-1]
        emitted = bundle.spec.emitted_frames or 0
        self._masks = (channels, self.queries, bins, emitted, self.parts)
        # A graph made for one channel at a time is run once a channel.
        self._together = channels if batch != 1 else 1
        self._flush = FlushDenormals()
        if conditioning is not None:
            self.check(conditioning)
            free = self._session.get_overridable_initializers()[0].shape[0]
            if isinstance(free, int) and free != self.queries:
                raise ValueError(
                    f"found {self.queries} queries, the model takes {free}; it was exported so"
                )

    def check(self, conditioning: Floats) -> None:
        """Raise `ValueError` unless `conditioning` is [Q, D]; folded queries have no D."""
        if not self._conditioning_size:
            raise ValueError("this model's queries are folded into it and cannot be others")
        wanted = (self.queries, self._conditioning_size)
        if conditioning.shape != wanted:
            raise ValueError(f"conditioning is {conditioning.shape}, this network takes {wanted}")

    def __call__(self, spectrograms: Floats, conditioning: Floats | None = None) -> Floats:
        """Masks [B, Q, F, E, M] of `spectrograms` [B, F, T, 2], one block a channel.

        `conditioning` None: the baked queries.
        One thread at a time, for as long as the network takes; the interpreter lock is free then.
        Raises `BundleError` for a graph that gives another shape than its bundle promises.
        """
        given = {} if conditioning is None else {"conditioning": conditioning}
        masks = []
        with self._flush:
            for first in range(0, len(spectrograms), self._together):
                some = spectrograms[first : first + self._together]
                masks += self._session.run(["masks"], {"spectrogram": some, **given})
        found: Floats = masks[0] if len(masks) == 1 else np.concatenate(masks)
        if found.shape != self._masks:
            raise BundleError(f"the graph's masks are {found.shape}, expected {self._masks}")
        return found
