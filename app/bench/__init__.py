"""`soloist bench` and `soloist tune`: what `benchmarks` measures, asked for and shown.

- `command`: `bench`; `run`: what it measures; `quality`: SI-SDRi; `loopback`: `bench --loopback`
- `view`, `tables`: for a terminal; `page`, `figures`, `charts`: as a page
- `tune`: the command; `tune_run`: its candidates and what came of them
"""
