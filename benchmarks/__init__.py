"""What measures Soloist on the machine at hand.

`soloist bench` says what models cost, by `measuring`, `cold_start` and `streams`; `statistics` and
`results` are what it finds. The others are programs that print one table each:

    python -m soloist.benchmarks.published    a window of a published separator, and its live form
    python -m soloist.benchmarks.against_offline  live play against whole-file inference
    python -m soloist.benchmarks.soak         millions of hops: does anything creep
    python -m soloist.benchmarks.interface    what a process of its own gains live audio
    python -m soloist.benchmarks.live_start   from the command to the first sound, memory, rights
    python -m soloist.benchmarks.pass_through blocks missed beside clients that only copy
    python -m soloist.benchmarks.first_words  how long words take that a model does not know
    python -m soloist.benchmarks.peers        other programs on the same audio and core
    python -m soloist.benchmarks.negatives    what it gains to name what is not wanted
    python -m soloist.benchmarks.phrasings    what other words for a sound cost
    python -m soloist.benchmarks.claims       whether recipes do what their papers claim
"""
