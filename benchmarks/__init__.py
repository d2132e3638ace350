"""Programs that measure Soloist on the machine at hand and print one table each.

    python -m soloist.benchmarks.latency      what a hop costs, and where the time goes

They need the checkout and an editable install; they are not shipped.
"""
