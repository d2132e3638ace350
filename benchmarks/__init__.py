"""Programs that measure Soloist on the machine at hand and print one table each.

    python -m soloist.benchmarks.latency      what a hop costs, and where the time goes
    python -m soloist.benchmarks.windows      the same for a windowed model, and what delay it has
    python -m soloist.benchmarks.published    a window of a published separator, and its live form
    python -m soloist.benchmarks.against_offline  live play against whole-file inference
    python -m soloist.benchmarks.soak         millions of hops: does anything creep
    python -m soloist.benchmarks.interface    what a process of its own gains live audio
    python -m soloist.benchmarks.first_words  how long words take that a model does not know
    python -m soloist.benchmarks.negatives    what it gains to name what is not wanted

The first two are what `soloist bench` runs.
"""
