"""Checkpoint files as they come: opened without running their code, unwrapped, matched by key."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .checkpoint_safety import check_content, check_file

State = Mapping[str, Tensor]
Arguments = Mapping[str, Any]

_PREFIX = "module."  # what DataParallel puts before every key
_ARGUMENTS = "train-args.json"
# Figures that training kept beside the tensors: numbers of NumPy, which make themselves of bytes.
# Older files name the function that does it by the module it was in before NumPy 2.
_NUMBER: Any = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    _NUMBER,
    (_NUMBER, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
]
_LISTED = 5  # of the keys that do not fit
_MOST_ARGUMENTS = 1 << 20  # bytes; the published ones have about 2,000


def read_file(path: Path) -> Any:
    """What ``torch.save`` wrote, tensors on the CPU. No code of the file's is ever run.

    Raises:
        ValueError: it is no such file, holds more than tensors, numbers and plain values, or
            claims sizes that it does not have.
    """
    try:
        check_file(path)
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle's protocol, with a path of torch's own
            saved = torch.load(path, map_location="cpu", weights_only=True)
        check_content(saved)
        return saved
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # zip and pickle faults share no base class
        refused = _refused(str(error))
        if refused:
            raise ValueError(
                f"{path} cannot be read without running code from it ({refused}), which Soloist "
                "never does; save its state_dict alone, with torch.save"
            ) from error
        # What torch says of it is about torch; what the checks above say is about the file.
        reason = f" ({str(error)[:160]})" if type(error) is ValueError else ""
        raise ValueError(
            f"{path} is no checkpoint that torch can read{reason}; give a file that training wrote"
        ) from error


def _refused(fault: str) -> str:
    """What torch would not do, of its advice on how to do it all the same; "" for other faults."""
    name = re.search(r"GLOBAL ([\w.]+)", fault)
    if name:
        return name[1]
    return fault.partition("WeightsUnpickler error:")[2].strip().partition("\n")[0][:160]


def unwrap(saved: object) -> State | None:
    """The tensors by key: of a flat dict, or of one under ``state_dict``; None if it holds others.

    The prefix that ``DataParallel`` gives to every key is taken off.
    """
    if isinstance(saved, Mapping) and isinstance(saved.get("state_dict"), Mapping):
        saved = saved["state_dict"]
    if not isinstance(saved, Mapping) or not saved:
        return None
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in saved.items()):
        return None
    if all(key.startswith(_PREFIX) for key in saved):
        return {key.removeprefix(_PREFIX): tensor for key, tensor in saved.items()}
    return dict(saved)


def read_arguments(path: Path) -> Arguments:
    """What ``train-args.json`` says, beside the checkpoint or one folder up; {} without one.

    Raises:
        ValueError: it is there and is no JSON object.
    """
    found = companion(path, _ARGUMENTS)
    if found is None:
        return {}
    try:
        if found.stat().st_size > _MOST_ARGUMENTS:
            raise ValueError(f"it is larger than {_MOST_ARGUMENTS} bytes")
        arguments = json.loads(found.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{found} cannot be read: {error}") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"{found} is no JSON object")
    return arguments


def companion(path: Path, name: str) -> Path | None:
    """The file of that name beside a checkpoint, or beside its folder; None where there is none.

    Only the last part of the name counts: training wrote it, on another machine.
    """
    name = PureWindowsPath(name).name  # knows both kinds of slashes
    for folder in (path.parent, path.parent.parent):
        if name and (folder / name).is_file():
            return folder / name
    return None


def fill(network: nn.Module, state: State) -> None:
    """Loads every tensor into the network, which must have exactly those keys and shapes.

    Raises:
        ValueError: keys are missing, unknown, or of another shape; with the list. Or numbers are
            not finite.
    """
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    faults = [
        *(f"missing {key}" for key in wanted.keys() - found.keys()),
        *(f"unknown {key}" for key in found.keys() - wanted.keys()),
        *(
            f"{key} is {found[key]}, not {wanted[key]}"
            for key in wanted.keys() & found.keys()
            if wanted[key] != found[key]
        ),
    ]
    if faults:
        raise ValueError(unfit(faults))
    check_finite(state)
    network.load_state_dict(dict(state))


def unfit(faults: Collection[str]) -> str:
    """One line about keys that do not fit, the first few by name."""
    some = ", ".join(f"{fault:.100}" for fault in sorted(faults)[:_LISTED])
    shown = "".join(letter if letter.isprintable() else "?" for letter in some)
    count = "1 key does not fit" if len(faults) == 1 else f"{len(faults)} keys do not fit"
    more = f", and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
    return f"{count}: {shown}{more}"


def check_finite(state: State) -> None:
    """Raises ``ValueError`` naming the first tensor with NaN or infinity in it."""
    for key, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"{key:.100} holds numbers that are not finite; training went astray, or the file "
                "is damaged"
            )


def size(state: State, key: str, axis: int) -> int:
    """Length of one axis of a tensor, where a network's sizes are read from.

    Raises:
        ValueError: the tensor is not there, or has no such axis.
    """
    if key not in state:
        raise ValueError(f"missing {key}")
    if state[key].ndim <= axis:
        raise ValueError(f"{key} is {tuple(state[key].shape)}, which has too few axes")
    return state[key].shape[axis]
