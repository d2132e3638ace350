"""Files written whole or not at all.

A file is written beside its destination under another name and then renamed over it. A process that
is killed leaves at most that other file, `.<random>.part`.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SoloistError


@contextmanager
def replacing(path: Path, fault: type[SoloistError] = SoloistError) -> Iterator[Path]:
    """A path to write to in the block; what is there when it ends well becomes `path`, at once.

    When the block raises, `path` is what it was. Through a link, so that the link stays and the
    file it names is replaced. Folders are not made. Raises `fault` for what the system refuses.
    """
    # The name is not part of the other one, which would be too long for names near the limit.
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if target.exists() and not target.is_file():
            raise fault(f"cannot write {str(path)!r}: it exists and is not a file")
        if not target.parent.is_dir():
            raise fault(
                f"cannot write {str(path)!r}: no folder {str(path.parent)!r}; make it first"
            )
        try:
            yield part
            with part.open("r+b") as written:  # Windows syncs writable files only
                os.fsync(written.fileno())
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise fault(
            f"cannot write {str(path)!r}: {reason}; make room or choose another place"
        ) from error
