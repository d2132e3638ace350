"""A file takes its place whole, or what was there stays."""

from pathlib import Path

import pytest

from soloist.runtime.errors import SoloistError
from soloist.runtime.replacing import replacing


def test_replacing_is_for_any_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(SoloistError, match="make it first"), replacing(tmp_path / "b" / "c"):
        pass
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("newer")
        raise ZeroDivisionError
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
