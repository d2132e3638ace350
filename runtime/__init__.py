"""Runtime floor: what a bundle promises, and sessions that advance it one hop a call.

- `errors`: the tree of faults a user can cause or meet
- `spec`, `frames`: the record inside a bundle; its transform's geometry and windows
- `schedule`: when the windows of a windowed bundle are due, and the delay that follows
- `bundle`: a bundle opened and checked, with its `vocabulary` and `conditioner`
- `session`: one hop a call, on CPU or CUDA; `network`: one window a call
- `queries`: words to the conditioning a session takes; `sentence_encoder`: for any words
- `compute`: the CPU or a CUDA device, as asked for; `binding`: arrays that runs are bound to once,
  and `cuda`: their mirrors there
- below them `records` (JSON, strictly), `ort` (onnxruntime, set up for live use), `denormals`
- `admission`: what a file from a stranger may hold, with `limits`, `operators`, `protobuf`;
  `metadata`: the texts in it

Importing this package loads nothing; numpy and onnxruntime come with the modules that need them.
"""
