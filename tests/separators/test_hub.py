"""Files from the hub, by a hub that stands in for it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

hub = pytest.importorskip("huggingface_hub")

from soloist.separators.hub import fetch  # noqa: E402

Stub = Callable[..., list[str]]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stub:
    """`stub(here=, reachable=)` stands in for the library; returns what it will be asked for."""

    def put(*, here: bool, reachable: bool) -> list[str]:
        asked: list[str] = []

        def download(repository: str, file: str, local_files_only: bool = False) -> str:
            asked.append(f"{'look for' if local_files_only else 'get'} {repository} {file}")
            if local_files_only and not here:
                raise FileNotFoundError("not in the cache")
            return str(tmp_path / file)

        def look(self: object, repository: str, timeout: float) -> None:
            asked.append(f"look at {repository}")
            if not reachable:
                raise ConnectionError("no route to the hub\nmore")

        monkeypatch.setattr(hub, "hf_hub_download", download)
        monkeypatch.setattr(hub.HfApi, "model_info", look)
        return asked

    return put


def test_what_is_here_is_taken_without_the_network(stub: Stub, tmp_path: Path) -> None:
    asked = stub(here=True, reachable=False)
    assert fetch("a/b", ["x.json", "y.txt"]) == tmp_path
    assert asked == ["look for a/b x.json", "look for a/b y.txt"]


def test_what_is_not_is_downloaded(stub: Stub, tmp_path: Path) -> None:
    asked = stub(here=False, reachable=True)
    assert fetch("a/b", ["x.json", "y.txt"]) == tmp_path
    assert asked[1:] == ["look at a/b", "get a/b x.json", "get a/b y.txt"]


def test_without_a_way_to_the_hub_nothing_is_tried_twice(stub: Stub) -> None:
    asked = stub(here=False, reachable=False)
    with pytest.raises(OSError, match="no route to the hub"):
        fetch("a/b", ["x.json", "y.txt"])
    assert asked == ["look for a/b x.json", "look at a/b"]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ImportError, match=r"huggingface_hub.* is not installed: pip install .soloist\[export\]"
    ):
        fetch("a/b", ["x"])
