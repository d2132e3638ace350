"""Golden vectors: what the published code computes, with weights made from their names."""

import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"

Arrays = Mapping[str, NDArray[np.generic]]


class Golden:
    """The folder beside the checkout; its README says what each array is and how close to come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arrays(self, name: str) -> Arrays:
        """The arrays of `public/NAME.npz`."""
        with np.load(self.folder / "public" / f"{name}.npz") as stored:
            return {key: stored[key] for key in stored}

    def listing(self, name: str) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype by key, without `module.`, of `../reference/NAME_state_dict.tsv`."""
        text = (self.folder.parent / "reference" / f"{name}_state_dict.tsv").read_text("utf-8")
        rows = [line.split("\t") for line in text.splitlines()[1:]]
        return {
            key.removeprefix("module."): (tuple(map(int, re.findall(r"\d+", shape))), dtype)
            for key, shape, dtype, *_ in rows
        }

    def recipe(self, name: str) -> ModuleType:
        """The recipe `NAME.py`, such as `fill_weights`."""
        return _module(self.folder / f"{name}.py")


@cache
def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the folder is read-only
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


@pytest.fixture(scope="session")
def golden() -> Golden:
    """The golden vectors. Skips where they are not there, but not under CI, where they must be."""
    if not GOLDEN.is_dir():
        reason = f"no golden vectors in {GOLDEN}: they come with the project's own checks only"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return Golden(GOLDEN)
