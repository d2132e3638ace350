"""Streaming floor: live sound and files through a model, block by block.

- `processor`: blocks of any size in and out, with the life-cycle of a plug-in
- `engine`: one hop; `stft`, `guard`, `glide`: its parts; `adapter`, `ring`: from blocks to hops
- `trailing`: the network beside the audio thread; `orders`, `rights`: threads of that kind
- `windowed`, `windows`, `blocks`, `pace`: offline separators, hop by hop
- `rates`, `rate_plan`, `resampling`: the same for a host at another rate than the model's
- `mixer`, `settings`, `parameters`, `limiter`: what a person can turn
- `latency`, `counters`: what a host is told
- `separator`: all of it by words, for programs
- `offline`, `files`: whole recordings, and reading and writing them
- `live`: the engine between two devices

Importing this package loads nothing.
"""
