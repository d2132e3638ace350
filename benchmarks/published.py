"""What one window of a published separator costs: as published, folded, and for live play.

    python -m soloist.benchmarks.published [clipsep bimodal ...] [--advance 16] [--json]

Random weights in the published sizes: the time does not depend on them. Multiply-adds are those of
matrix products, convolutions and attention, counted by torch; seconds are onnxruntime's on one
core: the least of several runs by the clock of the process, which other programs disturb the least.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..export.graph import window_graph
from ..runtime.ort import open_cpu
from ..separators.bimodal import BiModal, BiModalConfig
from ..separators.bimodal_live import BiModalLive
from ..separators.clap_tokens import POSITIONS
from ..separators.clipsep import CLIP_SIZE, CLIPSep
from ..separators.columns import Span
from ..separators.early_fusion import EarlyFusion
from ..separators.log_picture import Geometry
from ..separators.middle_fusion import MiddleFusion
from ..separators.spectrogram import Spectrogram, magnitude
from .environment import environment, environment_line

Floats = NDArray[np.float32]

CROSSFADE = 4
TOKENS = 5  # of a short phrase


@dataclass(frozen=True)
class Form:
    """One way to compute a window; `conditioning` [2, size] is that of two queries."""

    system: str
    name: str
    network: nn.Module
    front: Spectrogram
    conditioning: Tensor


def clipsep(
    advance: int,
    system: str = "clipsep",
    network: CLIPSep | EarlyFusion | MiddleFusion | None = None,
) -> list[Form]:
    """CLIPSep: maps of all 32 channels, then the queries; the query folded; and the live form."""
    network = (network or CLIPSep(Geometry())).eval()
    conditioning = network.condition(torch.randn(2, CLIP_SIZE))
    front = network.geometry.front
    whole = Span.whole(front.frames)
    return [
        Form(system, "as published", network, front, conditioning),
        Form(system, "whole, folded", network.live(whole).eval(), front, conditioning),
        Form(system, "live", network.live(_newest(front, advance)).eval(), front, conditioning),
    ]


def bimodal(advance: int) -> list[Form]:
    """The bi-modal separator: as published, with keys, values and gates worked out, and live."""
    config = BiModalConfig()
    network = BiModal(config).eval()
    states = torch.randn(2, POSITIONS, config.words)
    embedding = nn.functional.normalize(torch.randn(2, config.embedding), dim=-1)
    counts = torch.ones(2, TOKENS + 1)
    counts[:, -1] = POSITIONS - TOKENS
    asked = torch.cat([states.flatten(1), network.net_clap(embedding)], dim=1)
    folded = network.condition(states[:, : TOKENS + 1], counts, embedding)
    live = BiModalLive(network, _newest(config.front, advance)).eval()
    return [
        Form("bimodal", "as published", _BiModalAsPublished(network), config.front, asked),
        Form("bimodal", "queries folded", network, config.front, folded),
        Form("bimodal", "live", live, config.front, folded),
    ]


class _BiModalAsPublished(nn.Module):
    """Token states and gates in; keys and values, and all feature maps, made for each window."""

    def __init__(self, network: BiModal) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        config, unet = self.network.config, self.network.net_sound
        states = conditioning[:, : -config.maps].reshape(-1, POSITIONS, config.words)
        attending = [level.attention.ca_block.attn for level in unet.levels() if level.attends]
        keys_values = torch.stack([attention.kv(states) for attention in attending], dim=1)
        heard = unet.listen(torch.log1p(magnitude(spectrogram))[:, None])
        maps = unet.attend(heard, keys_values[None], torch.zeros(1, states.shape[0], POSITIONS))
        features = unet.unet_block.upconv(unet.ascend(maps, states.shape[0]))
        gains = conditioning[:, -config.maps :] * self.network.net_synthesizer.scale
        logits = (gains[..., None, None] * features).sum(1) + self.network.net_synthesizer.bias
        return torch.sigmoid(logits)[None, ..., None]


SYSTEMS: dict[str, Callable[[int], list[Form]]] = {
    "clipsep": clipsep,
    "clipsep-early": lambda frames: clipsep(frames, "clipsep-early", EarlyFusion(Geometry())),
    "clipsep-middle": lambda frames: clipsep(frames, "clipsep-middle", MiddleFusion(Geometry())),
    "bimodal": bimodal,
}


def _newest(front: Spectrogram, advance: int) -> Span:
    """What a live window makes masks for: an advance and a cross-fade."""
    return Span(front.frames - advance - CROSSFADE, front.frames, front.frames)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.published")
    parser.add_argument("systems", nargs="*", choices=[*SYSTEMS, []], help="by default all")
    parser.add_argument("--advance", type=int, default=16, help="frames that a live window plays")
    parser.add_argument("--runs", type=int, default=3, help="of each form")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    rows = []
    for system in options.systems or SYSTEMS:
        with torch.no_grad():
            forms = SYSTEMS[system](options.advance)
        for form in forms:
            print(f"{form.system}, {form.name} ...", file=sys.stderr, flush=True)
            rows.append(measure(form, options.runs))
    machine = environment()
    if options.json:
        print(json.dumps({"environment": machine, "advance": options.advance, "forms": rows}))
        return 0
    print(environment_line(machine))
    print(
        f"{'system':<16}{'form':<16}{'GMAC':>8}{'of it':>7}{'s':>8}{'next GMAC':>11}{'next s':>8}"
    )
    for row in rows:
        whole = next(r for r in rows if r["system"] == row["system"])
        print(
            f"{row['system']:<16}{row['form']:<16}{row['gmac']:>8.2f}"
            f"{row['gmac'] / whole['gmac']:>7.1%}{row['seconds']:>8.3f}"
            f"{row['next_gmac']:>11.3f}{row['next_seconds']:>8.3f}"
        )
    return 0


@torch.no_grad()
def measure(form: Form, runs: int) -> dict[str, Any]:
    """Giga-multiply-adds and core seconds of a window for one query, and what a second one adds."""
    front = form.front
    spectrogram = torch.randn(1, front.bins, front.frames, 2)
    products = []
    for queries in (1, 2):
        with FlopCounterMode(display=False) as counter:
            form.network(spectrogram, form.conditioning[:queries])
        products.append(counter.get_total_flops() / 2e9)
    conditioning = form.conditioning.numpy()
    graph = window_graph(form.network, front.bins, front.frames, conditioning, batch=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "form.onnx"
        onnx.save(graph, path)
        seconds = _least_seconds(path, spectrogram.numpy(), conditioning, runs)
    return {
        "system": form.system,
        "form": form.name,
        "gmac": products[0],
        "seconds": seconds[0],
        "next_gmac": products[1] - products[0],
        "next_seconds": seconds[1] - seconds[0],
    }


def _least_seconds(path: Path, spectrogram: Floats, conditioning: Floats, runs: int) -> list[float]:
    """Of a run for one query, and for two."""
    session = open_cpu(path)
    least = [np.inf, np.inf]
    for _ in range(1 + runs):  # the first one is for warming up, and rarely the least
        for index in range(2):
            given = {"spectrogram": spectrogram, "conditioning": conditioning[: index + 1]}
            began = time.process_time()
            session.run(["masks"], given)
            least[index] = min(least[index], time.process_time() - began)
    return least


if __name__ == "__main__":
    raise SystemExit(main())
