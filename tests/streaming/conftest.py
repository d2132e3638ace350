"""Sessions without a network, and how far two signals are apart."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Frames, Query, Spec
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]

DIGEST = "0" * 64


def _make_spec(queries: int = 1, n_fft: int = 1024, hop: int = 128) -> Spec:
    return Spec(
        name="fake",
        architecture="none",
        version="1",
        license="MIT",
        created_with="tests",
        checkpoint_sha256=DIGEST,
        training={},
        kind="streaming",
        sample_rate=48_000,
        frames=Frames(n_fft, hop),
        queries=tuple(Query(f"q{i}", (f"q{i}",), (), "none", DIGEST) for i in range(queries)),
        residual=True,
        latency_samples=2 * hop,
        parity={},
    )


class RecurrentSession(PassThroughSession):
    """Remembers: each stem is masked by an average over past hops, another mask in each stem.

    `faults` are bad values by the number of the step that gives them; as in a real network they
    stay in the state until it is reset.
    """

    def __init__(
        self, spec: Spec, *, channels: int = 1, faults: Mapping[int, float] | None = None
    ) -> None:
        super().__init__(spec, channels=channels)
        self.faults = faults or {}
        self.steps = 0
        rng = np.random.default_rng(7)
        self._masks = rng.uniform(0, 1, (self.queries, spec.frames.bins, 1)).astype(np.float32)
        self._state = np.zeros((channels, spec.frames.bins, 1), np.float32)

    def step(self) -> None:
        level = np.abs(self.spectrum.view(np.complex64))
        self._state += np.float32(0.25) * (level - self._state)
        if self.steps in self.faults:
            self._state[0, self.steps % len(self._state[0])] = self.faults[self.steps]
        self.steps += 1
        gate = self._state / (np.float32(1) + self._state)
        np.multiply(self.spectrum[:, None], self._masks * gate[:, None], out=self.stems)

    def reset(self) -> None:
        self._state.fill(0)


def _play(processor: Processor, audio: Audio, blocks: list[int] | None = None) -> Audio:
    """Play `audio` in blocks of these sizes, the last one repeated; None: in one piece."""
    blocks = blocks or [max(1, len(audio))]
    outputs = () if processor.outputs == "mix" else (processor.queries + 1,)
    out = np.full((*outputs, *audio.shape), np.nan, np.float32)
    start, turn = 0, 0
    while start < len(audio):
        end = min(len(audio), start + blocks[min(turn, len(blocks) - 1)])
        processor.process(audio[start:end], out[..., start:end, :])
        start, turn = end, turn + 1
    return out


def _ready(
    session: PassThroughSession | None = None,
    *,
    outputs: str = "mix",
    block: int | None = None,
    **spec: int,
) -> Processor:
    """A prepared processor; by default on a session that passes its input through."""
    session = session or PassThroughSession(_make_spec(**spec))
    processor = Processor(session, outputs=outputs)  # type: ignore[arg-type]
    processor.prepare(48_000, 8192, len(session.spectrum), block=block)
    return processor


def _error_db(found: Audio, expected: Audio) -> float:
    """Energy of the difference against the energy expected, in dB."""
    error = np.sum((found.astype(float) - expected) ** 2)
    return float(10 * np.log10(max(error, 1e-300) / np.sum(expected.astype(float) ** 2)))


def _noise(frames: int, channels: int = 1, seed: int = 0) -> Audio:
    rng = np.random.default_rng(seed)
    return (0.25 * rng.standard_normal((frames, channels))).astype(np.float32)


# Each helper is a fixture of its own name without the underscore, as test modules cannot import
# from here.


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., Spec]:
    return _make_spec


@pytest.fixture(scope="session")
def recurrent() -> type[RecurrentSession]:
    return RecurrentSession


@pytest.fixture(scope="session")
def play() -> Callable[..., Audio]:
    return _play


@pytest.fixture(scope="session")
def ready() -> Callable[..., Processor]:
    return _ready


@pytest.fixture(scope="session")
def noise() -> Callable[..., Audio]:
    return _noise


@pytest.fixture(scope="session")
def error_db() -> Callable[[Audio, Audio], float]:
    return _error_db
