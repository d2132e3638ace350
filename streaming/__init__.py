"""Streaming floor: live sound and files through a model, block by block.

- `processor`: blocks of any size in and out, with the life-cycle of a plug-in
- `engine`: one hop; `stft`, `gains`: its parts; `adapter`, `ring`: what lies between hop and block
- `windowed`, `windows`, `blocks`, `pace`: offline separators, hop by hop
- `rates`, `rate_plan`, `resampling`: the same for a host at another rate than the model's
- `duplex`: two devices at work together; `clock_bridge`, `drift`: from one's clock to another's
- `jack_stream`, `jack_connections`, `jack_graph`: a client of JACK; `routes`: by it or by PortAudio
- `latency`, `counters`: what a host is told
- `separator`: all of it by words, for programs
- `offline`, `files`: whole recordings, and reading and writing them
- `devices`, `live`, `worker`, `meters`, `budget`: sound cards

Importing this package loads nothing.
"""
