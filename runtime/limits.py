"""How large what a model file holds may be. Honest files stay far below each of these."""

MAX_FILE_BYTES = 1 << 30
"""Half of what Protocol Buffers can hold; a bundle of 250 million float32 weights."""
MAX_METADATA_BYTES = 1 << 26
"""All metadata texts together; 2,000 phrases and a conditioner take 4 MB."""
MAX_NODES = 10_000
"""With twice as many, onnxruntime may take 8 s to arrange them."""
MAX_FIELDS = 2_000_000
"""Records, texts and numbers in a file, packed numbers aside: 2 s of reading."""
MAX_ELEMENTS = 1 << 28
"""Of one tensor: 1 GiB of float32."""
MAX_STATE = 1 << 24
"""Numbers of recurrent state a channel: 64 MiB of float32."""
MAX_CONDITIONING = 1 << 20
"""Numbers that a query becomes."""
MAX_RANK = 8
MAX_TEXT_BYTES = 1 << 10
"""A name inside the graph."""
OLDEST_OPSET = 17
