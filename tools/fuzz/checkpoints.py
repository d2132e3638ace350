"""Checkpoints: ours and a published system's, damaged as files, in their sizes, as pickles."""

from __future__ import annotations

import io
import pickle
import random
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ...runtime.errors import SoloistError
from ...separators.checkpoints import load
from ...separators.clipsep import CLIPSep
from ...separators.log_picture import Geometry
from ...separators.solo import Solo, SoloConfig
from .mutations import INTERESTING, damage

SUFFIX = ".pt"
_ODD: tuple[Any, ...] = (*INTERESTING, -1, 0.5, None, "x", [], {}, True, float("nan"))


@cache
def seeds() -> tuple[bytes, ...]:
    """What training writes, in torch's format and in its older one; a published system's."""
    published = CLIPSep(Geometry(maps=6, levels=5)).state_dict()
    return (_saved(_checkpoint()), _saved(_checkpoint(), zipped=False), _saved(published))


def _saved(content: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def mutate(rng: random.Random) -> bytes:
    how = rng.random()
    if how < 0.4:
        return damage(rng, rng.choice(seeds()), seeds())
    if how < 0.6:
        return _edit_config(rng)
    if how < 0.75:
        return _edit_published(rng)
    return _edit_pickle(rng)


def use(path: Path) -> None:
    try:
        load(path)
    except ValueError as error:  # what separators raise; `export` makes a line of it
        assert "\n" not in str(error), "more than a line"
        raise SoloistError(str(error)) from error


def _checkpoint() -> dict[str, Any]:
    torch.manual_seed(0)
    front = SoloConfig(n_fft=256, hop=64, linear_bands=8, blocks=1, patch_width=6)
    config = replace(front, width=6, memory=6, maps=6, embedding=6)
    network = Solo(config)
    return {
        "config": config.to_dict(),
        "weights": network.state_dict(),
        "facts": {"vocabulary": {"dog": ["dog"]}, "encoder": "toy"},
        "curve": [{"step": 1, "loss": 0.5}],
    }


def _edit_config(rng: random.Random) -> bytes:
    checkpoint = _checkpoint()
    for _ in range(rng.choice((1, 1, 2))):
        part = rng.choice(("config", "config", "config", "facts"))
        key = rng.choice(sorted(checkpoint[part]))
        checkpoint[part][key] = rng.choice(_ODD)
    if rng.random() < 0.2:
        weights = checkpoint["weights"]
        key = rng.choice(sorted(weights))
        size = rng.choice((1, 1 << 20, 1 << 40))
        weights[key] = torch.zeros(1).expand(size)  # a shape that no memory stands behind
    return _saved(checkpoint)


def _edit_published(rng: random.Random) -> bytes:
    """Sizes of a network are read from its tensors: other shapes, fewer or more of them."""
    state = torch.load(io.BytesIO(seeds()[2]), weights_only=True)
    for _ in range(rng.choice((1, 1, 2, 4))):
        key = rng.choice(sorted(state))
        shape = list(state[key].shape)
        if shape and rng.random() < 0.7:
            shape[rng.randrange(len(shape))] = rng.choice((0, 1, 2, 3, 7, 300))
        else:
            shape.append(rng.choice((0, 1, 2)))
        changed = torch.zeros(shape, dtype=rng.choice((torch.float32, torch.int8, torch.float64)))
        state[rng.choice((key, key, f"{key}.more", "x\ny"))] = changed
        if rng.random() < 0.2:
            del state[rng.choice(sorted(state))]
    return _saved(state)


def _edit_pickle(rng: random.Random) -> bytes:
    """The archive as it is, with other pickled bytes in it, compressed or not."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeds()[0])) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):
                data = rng.choice((_damaged, _bomb))(rng, data)
            elif rng.random() < 0.05:
                data = damage(rng, data, [b"\0" * 1000])
            packed = zipfile.ZIP_DEFLATED if rng.random() < 0.2 else zipfile.ZIP_STORED
            new.writestr(name, data, packed)
    return content.getvalue()


def _damaged(rng: random.Random, data: bytes) -> bytes:
    return damage(rng, data, [pickle.dumps(_ODD)])


class _Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def _bomb(rng: random.Random, _: bytes) -> bytes:
    calls = (
        _Call(bytearray, 1 << 40),
        _Call(print, "code of the file's was run"),
        _Call(torch.zeros, 1 << 40),
        _Call(torch.Size, [1 << 40]),
    )
    return pickle.dumps({"config": rng.choice(calls)}, protocol=2)
