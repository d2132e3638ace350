"""Waveformer (B. Veluri), the network of its repository, a chunk at a time with its own buffers."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np

from .peer import Absent, Peer, Samples, find

_RATE = 44_100
_REMEDY = "give a checkout of vb000/Waveformer, with torchmetrics and speechbrain installed"


def open_peer(folder: Path | None) -> Peer:
    """Raises `Absent` without its code. Weights are random without its `default_ckpt.pt`."""
    root = find(folder, "dcc_tf.py", _REMEDY).parents[2]
    checkpoints = sorted(root.rglob("default_ckpt.pt"))
    config = find(root, "default_config.json" if checkpoints else "config.json", _REMEDY)
    settings = json.loads(config.read_text("utf-8"))["model_params"]
    sys.path.insert(0, str(root))
    try:
        import torch

        network = importlib.import_module("src.training.dcc_tf").Net(**settings).eval()
    except ImportError as error:
        raise Absent(f"{error}; {_REMEDY}") from error
    finally:
        sys.path.remove(str(root))
    torch.set_num_threads(1)
    if checkpoints:
        found = torch.load(checkpoints[0], "cpu", weights_only=True)
        network.load_state_dict(found["model_state_dict"])
    stride = settings["L"]
    chunk = stride * settings["dec_chunk_size"]
    label = torch.zeros(1, settings["label_len"])
    label[0, 0] = 1.0
    buffers = network.init_buffers(1, torch.device("cpu"))
    # A stride before the chunk and, as look-ahead, one after it.
    heard = np.zeros(chunk + 2 * stride, np.float32)

    def process(block: Samples) -> Samples:
        nonlocal buffers
        heard[: 2 * stride] = heard[-2 * stride :]
        heard[2 * stride :] = block
        with torch.no_grad():
            out, *buffers = network(torch.from_numpy(heard)[None, None], label, *buffers, pad=False)
        return out[0, 0].numpy()  # type: ignore[no-any-return]

    return Peer(
        "Waveformer",
        "one of 41 kinds of sound",
        "its own" if checkpoints else "random",
        _RATE,
        chunk,
        chunk + stride,
        process,
    )
