"""When the windows of a windowed bundle are due, and the delay that follows from it.

A window is one run of the network: over the newest block of audio, T frames, of which it emits
masks for some. The frames of the blocks are those of the stream (stream frame i ends with hop i),
since blocks start on a grid that makes them so. A block holds centred frames, so its newest ones
reach past its end, where there is no audio yet: the last one stands for stream frame i + `ahead`
when hop i has come.

Windows are launched every A hops. Window v plays the stream's frames vA to (v+1)A - 1; in the first
C of them it takes over from the window before, which has masks for these, too. So each window uses
A + C frames, the newest of which has L frames of the block to its right:

    oldest          emitted: E frames               newest emitted         newest of the block
    |--------|------|== take-over C ==|=== A - C ===|== tail C ==|-- L - baked --|-- baked --|

Counted from the newest hop, the frame that is played when the window after it has come, and after
the K hops that computing it may take, lies behind by `delay` = A + C + L + K - 1 - ahead hops.
"""

from dataclasses import dataclass

from .errors import BundleError
from .frames import Frames


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Windows of one bundle: what its blocks are, and how often, how late they are used.

    The block: `frames`, `window_samples` S long; of its T frames the graph emits `emitted` E and
    leaves out the `baked` newest ones. The stream: each window `advance` A hops after the last,
    `crossfade` C frames in which one takes over from another, `lookahead` L frames, the baked
    included, to the right of the newest frame used, `compute` K hops for one run, 1 to A.

    Raises `BundleError` for counts that contradict each other, naming what is possible.
    """

    frames: Frames
    window_samples: int
    emitted: int
    baked: int
    crossfade: int
    advance: int
    lookahead: int
    compute: int

    def __post_init__(self) -> None:
        frames, samples = self.frames, self.window_samples
        _check(frames.padding != "causal", "padding 'causal'", "zeros or reflect for a block")
        _check(samples >= frames.n_fft, f"window_samples {samples}", f"at least {frames.n_fft}")
        _check(self.baked >= 0, f"lookahead_frames {self.baked}", "0 or more")
        fits = 1 <= self.emitted <= self.window_frames - self.baked
        _check(
            fits,
            f"emitted_frames {self.emitted}",
            f"1 to {self.window_frames - self.baked}, the window's but for the look-ahead's",
        )
        _check(
            0 <= self.crossfade < self.emitted,
            f"crossfade_frames {self.crossfade}",
            f"0 to {self.emitted - 1}, fewer than are emitted",
        )
        self._check_use()

    def _check_use(self) -> None:
        low = self.shortest_advance
        high = self.longest_advance
        _check(
            self.lookahead >= self.baked and high >= low,
            f"a look-ahead of {self.lookahead} frames",
            f"{self.baked} to {self.baked + self.emitted - self.crossfade - low}",
        )
        _check(
            low <= self.advance <= high,
            f"an advance of {self.advance} frames",
            f"{low} to {high} with a look-ahead of {self.lookahead} and a cross-fade of "
            f"{self.crossfade}",
        )
        _check(
            1 <= self.compute <= self.advance,
            f"a compute budget of {self.compute} hops",
            f"1 to {self.advance}, one advance",
        )

    @property
    def window_frames(self) -> int:
        """Frames T of a block: centred on its samples 0, hop, 2·hop and so on."""
        return 1 + self.window_samples // self.frames.hop

    @property
    def ahead(self) -> int:
        """Hops by which a block's last frame is ahead of the newest whole frame of the stream."""
        rest = self.window_samples % self.frames.hop
        return (self.frames.n_fft // 2 - rest) // self.frames.hop

    @property
    def shortest_advance(self) -> int:
        """Takes over in full before the next one does, and needs no frame that is yet to come."""
        return max(1, self.crossfade, 1 + self.ahead - self.crossfade - self.lookahead)

    @property
    def longest_advance(self) -> int:
        """Uses all emitted frames but those that the look-ahead leaves out."""
        return self.emitted - self.crossfade - (self.lookahead - self.baked)

    @property
    def delay(self) -> int:
        """Hops from a stream frame to the same frame, masked."""
        return self.first_launch + self.compute

    @property
    def first_launch(self) -> int:
        """The hop, counted from 0, whose coming launches window 0; the others follow A apart."""
        return self.advance + self.crossfade + self.lookahead - 1 - self.ahead

    @property
    def first_output(self) -> int:
        """Index, among the emitted frames, of the oldest that is used."""
        return self.longest_advance - self.advance

    def block_start(self, hop: int) -> int:
        """Sample of the stream with which the newest block begins when hop `hop` has come."""
        frames = self.frames
        return (hop + self.ahead + 2 - self.window_frames) * frames.hop - frames.n_fft // 2

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Named parts, in samples, of the delay from an input hop to the same hop, separated."""
        hop = self.frames.hop
        return (
            ("advance", self.advance * hop),
            ("cross-fade", self.crossfade * hop),
            ("look-ahead", self.lookahead * hop),
            ("compute", self.compute * hop),
            # What centred frames gain against those that end at the newest sample is taken off.
            ("overlap", self.frames.overlap - (1 + self.ahead) * hop),
        )

    @property
    def latency_samples(self) -> int:
        """Samples from the start of a hop of input to the same samples, separated.

        As with streaming bundles, the hop itself is counted: it must be there before it is used.
        """
        return (1 + self.delay) * self.frames.hop + self.frames.overlap


def _check(holds: bool, found: str, expected: str) -> None:
    if not holds:
        raise BundleError(f"found {found}, expected {expected}")
