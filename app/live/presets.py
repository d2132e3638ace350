"""Presets: what `soloist live` was told, in a small TOML file, to be played again.

    queries = ["a dog barking"]
    mode = "remove"
    input_device = "USB Audio, ALSA"

Each key stands for an option, and the command line wins over it. A preset is named by a path, or by
one word for a file in the user's own folder.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ...runtime.bundle import shipped
from ...runtime.errors import SoloistError
from ..outputs import check_writable, write_text
from .preset_keys import KEYS

# Presets take a few hundred bytes; a file of another kind should not be read to its end.
_MOST_BYTES = 1 << 16
_LONGEST_FOUND = 60


def folder() -> Path:
    """Where presets with a name are, which need not exist."""
    return Path(typer.get_app_dir("soloist")) / "presets"


def apply(context: typer.Context, name: str | None) -> str | None:
    """Make a preset's values what options are where the command line is silent.

    For an argument that is read before all others. Raises `SoloistError` as `read` does.
    """
    if name is not None:
        context.default_map = read(locate(name))
    return name


def locate(name: str) -> Path:
    """The file meant by one word, which is in the user's folder, or by a path."""
    path = Path(name)
    # A path forgets the dot and the slash of ./name.
    word = name == path.name and not path.suffix
    return folder() / f"{name}.toml" if word else path


def read(path: Path) -> dict[str, Any]:
    """Values by the parameter of `live`. `SoloistError`: what is wrong with the file, in a line."""
    values: dict[str, Any] = {}
    for name, value in _load(path).items():
        key = KEYS.get(name)
        if key is None:
            near = difflib.get_close_matches(name, KEYS, 1)
            hint = f"is it {near[0]!r}?" if near else f"the keys are {', '.join(KEYS)}"
            raise SoloistError(f"the preset {str(path)!r} has an unknown key {_cut(name)}; {hint}")
        try:
            values[key.parameter] = key.read(value)
        except ValueError as error:
            raise SoloistError(
                f"the preset {str(path)!r}: {name} takes {key.expected}, found {_cut(value)}"
            ) from error
    model = values.get("model")
    if model is not None and model not in shipped():
        values["model"] = str(path.parent / model)
    return values


def save(path: Path, values: Mapping[str, Any]) -> None:
    """Write a preset whole or not at all, of values by the parameter of `live`.

    None is left out. Raises `SoloistError` where it cannot be written.
    """
    told = dict(values)
    told["keep"] = "keep" if told["keep"] else "remove"
    if told["model"] not in shipped():
        told["model"] = os.path.abspath(told["model"])
    for window in ("advance", "lookahead"):
        told[window] = str(told[window]) if told[window] is not None else None
    gains = told["gain"] or [None]
    told["gain"] = gains if len(gains) > 1 else gains[0]
    if told["latency"] not in ("low", "high"):
        told["latency"] = float(told["latency"])
    lines = [
        f"{name} = {to_toml(told[key.parameter])}\n"
        for name, key in KEYS.items()
        if told[key.parameter] is not None
    ]
    text = "".join(["# What `soloist live` plays when given this file.\n", *lines])
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SoloistError(f"cannot write {str(path)!r}: the model's path is no text") from error
    write_text(path, text)


def prepare(name: str) -> Path:
    """Where to save a preset, with the user's folder made if it goes there.

    Raises `SoloistError` if it cannot be written there: better now than after playing.
    """
    path = locate(name)
    if path.parent == folder():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SoloistError(
                f"cannot make the folder {str(path.parent)!r}: {error.strerror}"
            ) from error
    check_writable(path)
    return path


def to_toml(value: object) -> str:
    """A text, number, truth or list of them, as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for one letter that it wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    return repr(value)


def _load(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise SoloistError(f"no preset {str(path)!r}: {_missing(path)}")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SoloistError(f"cannot read the preset {str(path)!r}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise SoloistError(
            f"cannot use the preset {str(path)!r}: it is longer than {_MOST_BYTES} bytes"
        )
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SoloistError(
            f"cannot use the preset {str(path)!r}: byte {error.start} is no UTF-8; save it as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SoloistError(f"cannot use the preset {str(path)!r}: no TOML: {error}") from error


def _missing(path: Path) -> str:
    if path.is_dir():
        return "a folder; name a file"
    if path.parent != folder():
        return "no such file; check the path"
    names = sorted(file.stem for file in folder().glob("*.toml"))
    return (
        f"your folder has {', '.join(names) or 'none'}; name one or give a path such as ./it.toml"
    )


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}..."
