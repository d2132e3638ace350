"""What the commands share that read checkpoints: `export`, and `separate --offline`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import SoloistError

if TYPE_CHECKING:
    from ..export.asked import Asked


@contextlib.contextmanager
def extra(name: str, command: str) -> Iterator[None]:
    """Inside, a torch half is imported; says that `command` lacks the extra where it cannot be."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__name__.split(".")[0]):
            raise  # a broken install of ours, not a missing extra
        raise SoloistError(
            f'{command} needs {error.name}, which is not installed: pip install "soloist[{name}]"'
        ) from error


def check_checkpoint(checkpoint: Path) -> None:
    """Raise `SoloistError` where there is no such file."""
    try:
        is_folder = checkpoint.is_dir()
        found = "" if checkpoint.is_file() else "a folder" if is_folder else "no such file"
    except OSError as error:  # such as a name that is too long
        found = error.strerror or str(error)
    if found:
        raise SoloistError(
            f"no checkpoint {str(checkpoint)!r}: {found}; give a file that training wrote"
        )


def asked_of_checkpoint(
    queries: Sequence[str] | None,
    embeddings: Sequence[str] | None,
    prompts: str,
    weights: str | None,
    negatives: Sequence[str] | None,
) -> Asked:
    """The queries of a command line; files of embeddings have the name before their `=`, or theirs.

    Raises `SoloistError` for two of one name.
    """
    from ..export.asked import Asked

    files: dict[str, Path] = {}
    for text in embeddings or ():
        name, found, file = text.partition("=")
        path = Path(file if found else text)
        name = name if found else path.stem
        if name in files:
            raise SoloistError(f"two embeddings are called {name!r}; give NAME=FILE for one")
        files[name] = path
    return Asked(tuple(queries or ()), files, prompts, weights, tuple(negatives or ()))
