"""Where CLAPSep's mel front end belongs: in the graph, or in the engine.

    python -m soloist.benchmarks.clap_mel [--advance 50] [--json]

The graph makes the mel frames of a whole window each time. An engine would make those that are new,
and those at the window's ends, which hear its borders, and keep the others. Seconds are of one
core: the least of several runs by the clock of the process, in turns; random weights.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..export.graph import window_graph
from ..export.window_precision import to_int8_products
from ..runtime.ort import open_cpu
from ..separators.clapsep import CLAPSEP_FRONT, CLAPSep
from ..separators.clapsep_mel import LogMel
from ..separators.columns import Cropped, Span
from ..separators.htsat import BASE
from .environment import environment, environment_line

Run = Callable[[], object]

CROSSFADE = 10  # frames, as `soloist export clapsep` has them
SIZE = 1024  # of a query's embedding, both halves


class _Given(nn.Module):
    """Stands for mel frames that the graph is given: some rows of its input, at no cost."""

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Turns ``(batch, 513, frames, 2)`` into ``(batch, 64, 1024)``."""
        return functional.pad(spectrogram[:, :64, :, 0], (0, BASE.frames - spectrogram.shape[2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.clap_mel")
    parser.add_argument("--advance", type=int, default=50, help="frames that a window plays")
    parser.add_argument("--runs", type=int, default=5, help="of each way")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the lines")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    front = CLAPSEP_FRONT
    spectrogram = torch.randn(1, front.bins, front.frames, 2)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        network = CLAPSep().eval()
        engine = _engine(network.mel, spectrogram.numpy()[0], options.advance)
        graph = _window(network, spectrogram, options.advance, Path(folder) / "graph.onnx")
        network.mel = _Given()  # type: ignore[assignment]
        given = _window(network, spectrogram, options.advance, Path(folder) / "given.onnx")
    whole, rest, new = _least([graph, given, engine], options.runs)
    found = {"advance": options.advance, "window": whole, "without": rest, "engine": new}
    machine = environment()
    if options.json:
        print(json.dumps({"environment": machine, **found}))
        return 0
    print(environment_line(machine))
    print(f"a window in int8, mel in the graph: {whole:.3f} s")
    print(f"the same where mel is given:        {rest:.3f} s")
    print(f"mel of {options.advance} new frames and the ends: {new:.3f} s")
    return 0


def _window(
    network: CLAPSep, spectrogram: Tensor, advance: int, path: Path
) -> Callable[[], object]:
    """Runs a window as live play does, its products in int8."""
    front = network.front
    want = Span(front.frames - advance - CROSSFADE, front.frames, front.frames)
    conditioning = network.condition(torch.randn(1, SIZE)).numpy()
    print(f"exporting {path.stem} ...", file=sys.stderr, flush=True)
    live = Cropped(network, want)
    graph = window_graph(live, front.bins, front.frames, conditioning, batch=False)
    onnx.save(to_int8_products(graph), path)
    session = open_cpu(path)
    given = {"spectrogram": spectrogram.numpy(), "conditioning": conditioning}
    return lambda: session.run(["masks"], given)


def _engine(mel: LogMel, spectrum: NDArray[np.float32], advance: int) -> Run:
    """Makes new frames and those at the ends by numpy, as an engine would between two windows."""
    inner, border, bands = (getattr(mel, name).numpy() for name in ("inner", "border", "bands"))
    new = np.ascontiguousarray(spectrum[:, -advance - mel.after : -mel.after])
    ends = np.concatenate([spectrum[:, : mel.before], spectrum[:, -mel.after :]], axis=1)
    flat = np.ascontiguousarray(ends.transpose(1, 0, 2)).reshape(len(border), -1, 1)

    def make() -> object:
        made = np.square(inner[0] @ new[..., 0]) + np.square(inner[1] @ new[..., 1])
        outer = np.square((border @ flat)[..., 0].reshape(len(border), 2, -1)).sum(1).T
        return np.log10(np.maximum(bands @ np.concatenate([made, outer], axis=1), 1e-10))

    return make


def _least(ways: Sequence[Run], runs: int) -> list[float]:
    """Seconds of each way."""
    least = [np.inf] * len(ways)
    for _ in range(1 + runs):  # the first one is for warming up, and rarely the least
        for index, run in enumerate(ways):
            began = time.process_time()
            run()
            least[index] = min(least[index], time.process_time() - began)
    return least


if __name__ == "__main__":
    raise SystemExit(main())
