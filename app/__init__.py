"""The command line: everything a person types at Soloist. Nothing imports from here.

A command is the file of its name; `live` and `bench`, which take more than one, are folders. `cli`
runs what was typed, `commands` has them all; `options`, `words`, `windows`, `console`, `outputs`
and `checkpoints` are what several of them share.
"""
