"""Runtime floor: what a bundle promises, and sessions that advance it one hop a call.

- `errors`: the tree of faults a user can cause or meet
- `spec`, `frames`: the record inside a bundle; rate, hop and windows
- `bundle`, `vocabulary`, `conditioner`: a bundle opened, checked, and what it carries
- `session`, `devices`: one hop a call on CPU or CUDA
- `queries`: words to the conditioning a session takes

Importing this package loads nothing; numpy and onnxruntime come with the modules that need them.
"""
