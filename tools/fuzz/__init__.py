"""Damaged and hostile files, by the thousand: each must work or be refused in one line.

    python -m soloist.tools.fuzz [--cases 10000] [--seed 0] [--kinds bundles,audio,...]

Case N of a seed is always the same file. It is opened and used in a worker process of its own
memory limit, so that a crash or a hang of a library is found out and named, not suffered; what
fails is kept for `--replay`. Needs `soloist[dev]` and torch.

- `mutations`: damage that knows nothing of the format
- `bundles`, `graphs`: bundles, damaged as files, as graphs and in their JSON
- `operators`: graphs of one operator, so that each kernel of onnxruntime has its turn
- `audio`, `checkpoints`, `presets`: the other kinds of files
- `worker`: makes and tries cases; `__main__` hands them out and watches
"""
