"""Streaming floor: live sound and files through a model, block by block.

- `processor`: blocks of any size in and out, with the life-cycle of a plug-in
- `engine`: one hop; `stft`, `gains`: its parts; `ring`: what lies between hops and blocks
- `latency`, `counters`: what a host is told
- `offline`, `files`: whole recordings, and reading and writing them
- `devices`, `live`, `meters`: sound cards

Importing this package loads nothing.
"""
