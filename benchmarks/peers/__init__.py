"""What else one would take, on the same audio, the same core and in the same turns.

    python -m soloist.benchmarks.peers [--checkout NAME=DIR ...] [--seconds 20] [--core 0] [--json]

Soloist and every peer that is here process the bundled recording a block at a time, each at its own
rate and block, back to back and at the pace of live play, in turns of a second, on one core. A peer
is here where its package is installed or its folder is given, by `--checkout` or in the environment
variable `SOLOIST_PEER_NAME`; what is missing of the others is said. None of them is bundled, and
nothing is fetched.

"core" is the median of a block by the clock of the thread, which other programs do not lengthen,
and RTF that by what the block lasts; the percentiles are of the clock on the wall.

Algorithmic latency is how late the sound is if computing took no time, the block included; "found"
is the block and the lag at which the output is most like the input, where it is clearly like it.
"""
