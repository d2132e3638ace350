"""What went wrong while playing, as numbers: trouble in a stream is counted, never raised."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Written by the audio thread, read by any other; counts since `Processor.prepare`.

    hops       hops processed
    faults     hops whose network output was not finite; the delayed input was heard instead
    bad_input  input samples that were NaN or infinite; they were taken as 0
    shortfall  output samples missing because a block broke the promised size; zeros were heard
    """

    hops: int = 0
    faults: int = 0
    bad_input: int = 0
    shortfall: int = 0
