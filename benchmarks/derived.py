"""A bundle's weights in another precision than it was exported in, to see what that would cost.

It needs the extra `export`. The graph stays what it is: int8 as `export` makes it, of float32
weights; float16 by onnxruntime's converter, float32 inputs and outputs and state. For anything but
a benchmark export the model itself anew, which measures what the change does to what is heard.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..runtime.spec import Stored


def derived(bundle: Bundle, precision: str, folder: Path) -> Bundle:
    """The same bundle with its large weights in another precision, as a new file in `folder`.

    "fp32" of int8 weights is for `Session` to make, which unfolds them. Raises `SoloistError` where
    it cannot be had from what the bundle holds.
    """
    if precision not in get_args(Stored):
        raise SoloistError(f"found precision {precision!r}, expected one of {get_args(Stored)}")
    made = bundle.spec.precision
    if precision == made or (
        (made, precision) == ("int8", "fp32") and bundle.spec.kind != "windowed"
    ):
        return bundle
    try:
        import onnx
    except ImportError as error:
        raise SoloistError(
            f'weights in {precision} cannot be made here; pip install "soloist[export]"'
        ) from error
    model = onnx.load(bundle.path)
    if precision == "fp16":
        model = _to_fp16(model)
    elif (made, precision) == ("fp32", "int8"):
        model = _to_int8(model, bundle.spec.kind)
    else:
        raise SoloistError(
            f"{bundle.path.name} holds weights in {made}, which cannot be made {precision}; give a "
            "bundle that was exported so"
        )
    for entry in model.metadata_props:
        if entry.key == "soloist":
            entry.value = json.dumps(json.loads(entry.value) | {"precision": precision})
    path = folder / f"{len([*folder.iterdir()])}-{bundle.path.name}"
    onnx.save(model, path)
    return Bundle.open(path)


def _to_int8(model: Any, kind: str) -> Any:
    from ..export.precision import to_int8
    from ..export.window_precision import to_int8_products

    if kind == "windowed":
        model = to_int8_products(model)
    else:
        to_int8(model)
    return model


def _to_fp16(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    from ..export.precision import to_fp32

    to_fp32(model)
    made = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True)
    OnnxModel(made).topological_sort()
    return made
