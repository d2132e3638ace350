"""The slow network inside a bundle that hears which of the known sounds are there."""

import json
import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .errors import BundleError
from .metadata import read_metadata
from .ort import open_cpu, run_in_time
from .records import decode, parse_object

Floats = NDArray[np.float32]

_WHERE = "bundle listener"
_MOST_SAMPLES = 1 << 20
_MOST = 100.0
# Frames that are transformed at once: as long as another thread has to wait for the interpreter.
_CHUNK = 4


@dataclass(frozen=True, kw_only=True)
class Opposition:
    """How what is heard is taken off the words. Raises `BundleError` for values out of range.

    A conditioning c of a query becomes ``c - share * (sum of w_i g_i) + (bias + lift * z) u``. g_i
    is the conditioning of class i. w_i is its mean presence over the last `memory_s` seconds, less
    what of it is the query itself: none of it where the cosine of c and g_i, less the mean of all
    classes, is `unlike` or lower, all of it from `same` on; the w_i are divided by their sum and
    0.1. z is the log-odds of the query's own presence, of late at most, above `usual`, held to
    -4 to 4; u adds one to every logit: the last `offsets` numbers of a conditioning do.
    """

    share: float
    bias: float
    lift: float
    usual: float
    unlike: float
    same: float
    memory_s: float
    offsets: int

    def __post_init__(self) -> None:
        numbers = np.array([self.share, self.bias, self.lift, self.usual, self.unlike, self.same])
        bounded = np.abs(numbers).max() <= _MOST and 0 < self.memory_s <= _MOST
        if not (bounded and self.unlike < self.same and self.offsets >= 0):
            raise BundleError(f"{_WHERE}: found {self}; export the bundle again")


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """What a listener says about itself, as JSON in its metadata.

    `window` (a Hann window), `hop` and `n_fft` are samples at the bundle's rate; `classes` are of
    the bundle's vocabulary. It listens every `every_s` seconds and has `budget_s` to think. Raises
    `BundleError` for values out of range.
    """

    window: int
    hop: int
    n_fft: int
    classes: tuple[str, ...]
    every_s: float
    budget_s: float
    opposition: Opposition

    def __post_init__(self) -> None:
        sizes = (self.hop, self.window, self.n_fft)
        if not 1 <= self.hop <= self.window <= self.n_fft <= _MOST_SAMPLES:
            raise BundleError(f"{_WHERE}: found hop, window, n_fft of {sizes}; export it again")
        if not 0 < self.budget_s < self.every_s <= 60 or not self.classes:
            raise BundleError(
                f"{_WHERE}: found {len(self.classes)} classes every {self.every_s} s, "
                f"{self.budget_s} s later; export the bundle again"
            )

    @property
    def fading(self) -> float:
        """What is kept of presence from one window to the next."""
        return math.exp(-self.every_s / self.opposition.memory_s)

    def to_json(self) -> str:
        """The text for the metadata; `from_json` gives an equal one back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Hearing":
        """Read and check the text; `BundleError` says what is wrong."""
        return decode(cls, parse_object(text, _WHERE), _WHERE)


class Listener:
    """Audio to the presence of each class.

    `model` is ONNX: input `magnitudes` [1, T, F] of the spectrum's T newest frames and F lowest
    bins, output `presence` [1, C], logits, float32; in its metadata `soloist.hearing`, the JSON of
    `Hearing`. Raises `BundleError` if it is not.
    """

    def __init__(self, model: bytes) -> None:
        self._session = open_cpu(model)
        about = read_metadata(model).get("soloist.hearing", "")
        self.hearing = hearing = Hearing.from_json(about)
        nodes = [
            (node.name, node.type, node.shape)
            for node in (*self._session.get_inputs(), *self._session.get_outputs())
        ]
        match nodes:
            case [
                ("magnitudes", "tensor(float)", [1, int(frames), int(bins)]),
                ("presence", "tensor(float)", [1, int(classes)]),
            ] if classes == len(hearing.classes) and bins <= hearing.n_fft // 2 + 1:
                pass
            case _:
                raise BundleError(
                    f"the bundle's listener has {nodes}, expected magnitudes [1, T, F] and "
                    f"presence [1, {len(hearing.classes)}] in float32; export the bundle again"
                )
        self.samples = (frames - 1) * hearing.hop + hearing.window
        if max(self.samples, frames * hearing.n_fft) > _MOST_SAMPLES:
            raise BundleError(
                f"{_WHERE}: it hears {self.samples} samples in {frames} frames of {hearing.n_fft}; "
                f"{_MOST_SAMPLES} are taken at most"
            )
        self._bins = bins
        phase = np.arange(hearing.window) * (2 * np.pi / hearing.window)
        self._window: Floats = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
        silence = np.zeros(self.samples, np.float32)
        run_in_time(lambda options: self._run(silence, options))

    def __call__(self, audio: Floats) -> Floats:
        """Log-odds [C] of each class in audio [samples] at the bundle's rate, full scale 1.0.

        Any thread but the audio thread, and several at once: it allocates.
        """
        return self._run(audio, None)

    def _run(self, audio: Floats, options: onnxruntime.RunOptions | None) -> Floats:
        hearing = self.hearing
        frames = np.lib.stride_tricks.sliding_window_view(audio, hearing.window)[:: hearing.hop]
        magnitudes = np.empty((1, len(frames), self._bins), np.float32)
        for start in range(0, len(frames), _CHUNK):
            some = slice(start, start + _CHUNK)
            spectra = np.fft.rfft(frames[some] * self._window, hearing.n_fft)
            np.abs(spectra[:, : self._bins], out=magnitudes[0, some])
            time.sleep(0)  # numpy keeps the interpreter while it transforms so few
        (presence,) = self._session.run(["presence"], {"magnitudes": magnitudes}, options)
        found: Floats = presence[0]
        return found
