"""What went wrong while playing, as numbers: trouble in a stream is counted, never raised."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counters:
    """Written by the audio thread, read by any other; counts since `Processor.prepare`.

    hops       hops played
    faults     hops for which the network gave nothing to use, for one of the reasons below;
               the last good masks were held, and after a while the fallback was heard
    errors     of these, because it raised an exception
    absurd     of these, because it gave stems far louder than the input
    bad_input  input samples that were NaN, infinite or beyond +120 dBFS; they were taken as 0
    late       hops for which the time had run out, or whose masks or window had not come, so that
               older masks were held (real time)
    shortfall  output samples missing because a block broke the promised size; zeros were heard
    dropped    blocks that the worker schedule had not ready in time; silence was heard
    """

    hops: int = 0
    faults: int = 0
    errors: int = 0
    absurd: int = 0
    bad_input: int = 0
    late: int = 0
    shortfall: int = 0
    dropped: int = 0

    def clear(self) -> None:
        """Count from 0 again."""
        for field in fields(self):
            setattr(self, field.name, 0)
