"""The networks (torch): one file a system, over shared layers with explicit state.

A separator is a ``torch.nn.Module`` with ``initial_state(batch)`` and
``forward(spectrum, conditioning, state) -> (stems, state)``, the signature of the exported graph:
a whole recording and a single hop run through the same code, so the two cannot drift apart.
Nothing here is imported by the live plane.
"""
