"""Words to embeddings without torch: a sentence encoder as one ONNX file, its tokenizer inside.

`runtime/encoders` holds those that ship, each with a card that says what it is, whose, and how
close to the original.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .errors import BundleError
from .metadata import read_metadata
from .ort import open_cpu

_SHIPPED = Path(__file__).parent / "encoders"
# Texts at a time. Attention takes 3 MB for a text of 256 tokens.
_BATCH = 32


def shipped_encoders() -> list[str]:
    """Names of the text encoders that come with Soloist."""
    return sorted(path.stem for path in _SHIPPED.glob("*.onnx"))


@cache
def shipped_encoder(name: str) -> "SentenceEncoder":
    """The shipped encoder of that name, opened at the first call and kept (about 40 MB)."""
    return SentenceEncoder(_SHIPPED / f"{name}.onnx")


class SentenceEncoder:
    """A sentence encoder on one CPU core; opening takes about 60 ms, a phrase 20 ms.

    The file is what `export.sentence_encoder` builds: inputs `ids` and `mask`, both [N, L] int64,
    output `embedding` [N, E], and in its metadata `soloist.encoder`, the name, and
    `soloist.tokenizer`, the JSON of the library `tokenizers`. Raises `BundleError` for another.

    Any thread but the audio thread, and several at once.
    """

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer  # here: the words that a model knows need none

        # Without onnxruntime's optimiser: it takes longer than it saves for a dozen phrases.
        self._session = open_cpu(path, optimise=False)
        metadata = read_metadata(path)
        try:
            self.name: str = metadata["soloist.encoder"]
            self._tokenizer = Tokenizer.from_str(metadata["soloist.tokenizer"])
        except Exception as error:  # the tokenizer's own has no other base class
            raise BundleError(
                f"{path} is no text encoder with its tokenizer inside ({error!r:.80}); "
                "make one with tools/make_text_encoder"
            ) from error
        self.dimension = int(self._session.get_outputs()[0].shape[1])
        # The weights are multiplied out anew in each run; kept, they would take 70 MB for good.
        self._run = onnxruntime.RunOptions()
        self._run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings [N, E] of N texts, each row of Euclidean length 1.

        What is longer than the encoder was trained for (256 tokens, about as many words) is cut.
        """
        found = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _BATCH):
            ids, mask = self.tokens(texts[start : start + _BATCH])
            (embeddings,) = self._session.run(None, {"ids": ids, "mask": mask}, self._run)
            found[start : start + _BATCH] = embeddings
        return found

    def tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token numbers of texts [N, L], rows padded by 0, and the mask: 1 for each token."""
        # One by one: for several the library starts threads of its own.
        rows = [self._tokenizer.encode(text).ids for text in texts]
        ids = np.zeros((len(rows), max(len(row) for row in rows)), np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return ids, mask
