"""Toy bundles in the temporary folder, whose stems are a closed form that numpy can repeat."""

import base64
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.runtime.frames import Padding
from soloist.runtime.listener import Hearing, Opposition
from soloist.runtime.schedule import Schedule
from soloist.runtime.spec import Fill, Frames, Query, Spec
from soloist.runtime.vocabulary import Vocabulary

# Before anything imports torch: beside other work, its threads, which wait for each other, make
# tests ten times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

BANDS = 8  # S and D of the toy: one leaky average and one gate a band
EMBEDDING = 6
KEPT = 0.75  # share of the average that stays from hop to hop
GAIN = 0.25  # of the newest hop's level, so that sigmoids do not saturate on loud spectra
CLASSES = {
    "dog": ("dog", "barking dog"),
    "rain": ("rain", "falling rain"),
    "piano": ("piano", "piano music"),
    "drums": ("drums", "drum kit"),
    "speech": ("speech", "someone talking"),
    "bird": ("bird", "bird song"),
    "siren": ("siren", "police siren"),
    "water": ("water", "running water"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real sound servers run in real time: what fails with one is tried once more, and told (R).

    A machine that is shared takes a driver without hardware away for longer than any test of what
    happens within a second can allow. What is broken fails twice.
    """
    for item in items:
        if any(item.get_closest_marker(name) for name in ("jack", "pipewire", "pulse")):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def no_users_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What programs keep for a user is kept for these tests instead (typer.get_app_dir)."""
    folder = str(tmp_path_factory.mktemp("user"))
    os.environ["XDG_CONFIG_HOME"] = os.environ["APPDATA"] = folder


@dataclass(frozen=True)
class ToyBundle:
    """A streaming bundle on disk, and the truth about what it computes.

    Each stem is mask times spectrum, mask = sigmoid(gate x average) in each of 8 equal bands; the
    average is the state: 0.75 of the last one plus 0.25 of the band's mean magnitude.
    `conditioning` [Q, 8] are the baked gates.
    """

    path: Path
    spec: Spec
    conditioning: NDArray[np.float32]

    @cached_property
    def bundle(self) -> Bundle:
        return Bundle.open(self.path)

    def reference(
        self, spectra: NDArray[np.float32], conditioning: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        """Stems [hops, B, Q, F, 2] of `spectra` [hops, B, F, 2], from a fresh state, in float64."""
        gates = np.asarray(self.conditioning if conditioning is None else conditioning, float)
        pool, spread = _bands(self.spec.frames.bins)
        average = np.zeros((spectra.shape[1], BANDS))
        stems = []
        for spectrum in spectra.astype(float):
            average = KEPT * average + np.hypot(spectrum[..., 0], spectrum[..., 1]) @ pool
            mask = 1 / (1 + np.exp(-(gates * average[:, None]) @ spread))
            stems.append(mask[..., None] * spectrum[:, None])
        return np.stack(stems)


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ToyBundle]:
    """`toy_bundle(queries=1, n_fft=1024, hop=128, opposition=0, listens=False)` writes a
    `ToyBundle`, once each; one that `listens` carries the listener of `_listener`.

    Its queries are the first classes of a small vocabulary (dog, rain, piano, ...; encoder
    "toy-encoder", which nobody can load), its conditioner is a matrix; the rate is 48 kHz.
    """
    onnx = pytest.importorskip("onnx", reason="builds the toy bundles")
    folder = tmp_path_factory.mktemp("toy-bundles")

    @cache
    def build(
        queries: int = 1,
        n_fft: int = 1024,
        hop: int = 128,
        opposition: float = 0.0,
        listens: bool = False,
    ) -> ToyBundle:
        frames = Frames(n_fft, hop)
        vocabulary, matrix = _vocabulary(), _matrix()
        names = list(CLASSES)[:queries]
        rows = [vocabulary.embeddings[vocabulary.phrases.index(name)] for name in names]
        conditioning = np.stack(rows) @ matrix
        spec = replace(_spec(frames, names, rows), opposition=opposition)
        model = _graph(onnx, frames, conditioning)
        metadata = {
            "soloist": spec.to_json(),
            "soloist.vocabulary": vocabulary.to_json(),
            "soloist.conditioner": base64.b64encode(_conditioner(onnx, matrix)).decode(),
            "soloist.card": "# Toy\n\nComputes a closed form.\n",
        }
        if listens:
            metadata["soloist.listener"] = base64.b64encode(_listener(onnx)).decode()
        onnx.helper.set_model_props(model, metadata)
        path = folder / f"toy-{queries}-{n_fft}-{hop}-{opposition:g}-{listens}.onnx"
        onnx.save(model, path)
        return ToyBundle(path, spec, conditioning)

    return build


def _bands(bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrices from bins to a band's level [F, bands] and from bands back to bins [bands, F]."""
    band = np.arange(bins) * BANDS // bins
    spread = (band == np.arange(BANDS)[:, None]).astype(float)
    pool = GAIN * spread.T / np.maximum(spread.sum(axis=1), 1)
    return pool, spread


def _vocabulary() -> Vocabulary:
    """Two phrases a class, near to each other and far from the other classes."""
    rng = np.random.default_rng(0)
    phrases = [phrase for members in CLASSES.values() for phrase in members]
    centres = np.repeat(rng.standard_normal((len(CLASSES), EMBEDDING)), 2, axis=0)
    embeddings = centres + 0.05 * rng.standard_normal(centres.shape)
    # Rounded to what is stored, so that the truth is exact.
    return Vocabulary("toy-encoder", phrases, embeddings.astype(np.float16), CLASSES)


def _matrix() -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((EMBEDDING, BANDS)).astype(np.float32)


def _spec(frames: Frames, names: list[str], rows: list[NDArray[np.float32]]) -> Spec:
    queries = tuple(
        Query(name, CLASSES[name], (), "toy-encoder", hashlib.sha256(row.tobytes()).hexdigest())
        for name, row in zip(names, rows, strict=True)
    )
    return Spec(
        name="toy",
        architecture="leaky band averages",
        version="1",
        license="MIT",
        created_with="tests/conftest.py",
        checkpoint_sha256=hashlib.sha256(b"toy").hexdigest(),
        training={},
        kind="streaming",
        sample_rate=48_000,
        frames=frames,
        queries=queries,
        residual=True,
        latency_samples=2 * frames.hop,
        parity={"max_abs": 1e-6},
    )


def _graph(onnx: ModuleType, frames: Frames, conditioning: NDArray[np.float32]) -> Any:
    """The streaming graph: spectrum [B,F,2], conditioning [Q,D], state [B,S] to stems, state."""
    make, bins = onnx.helper, frames.bins
    pool, spread = _bands(bins)
    constants: dict[str, NDArray[Any]] = {
        "pool": pool,
        "spread": spread,
        "kept": np.array(KEPT),
        "last_axis": np.array([-1]),
        "query_axis": np.array([1]),
        "conditioning": conditioning,  # an input as well: that makes it a default
    }
    nodes = [
        make.make_node("ReduceL2", ["spectrum", "last_axis"], ["magnitude"], keepdims=0),
        make.make_node("MatMul", ["magnitude", "pool"], ["level"]),
        make.make_node("Mul", ["state", "kept"], ["faded"]),
        make.make_node("Add", ["faded", "level"], ["next_state"]),
        make.make_node("Unsqueeze", ["next_state", "query_axis"], ["average"]),
        make.make_node("Mul", ["average", "conditioning"], ["gated"]),
        make.make_node("Sigmoid", ["gated"], ["band_mask"]),
        make.make_node("MatMul", ["band_mask", "spread"], ["bin_mask"]),
        make.make_node("Unsqueeze", ["bin_mask", "last_axis"], ["mask"]),
        make.make_node("Unsqueeze", ["spectrum", "query_axis"], ["mixture"]),
        make.make_node("Mul", ["mask", "mixture"], ["stems"]),
    ]
    values = {
        "spectrum": ["B", bins, 2],
        "conditioning": ["Q", BANDS],
        "state": ["B", BANDS],
        "stems": ["B", "Q", bins, 2],
        "next_state": ["B", BANDS],
    }
    infos = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in values.items()]
    return _model(onnx, nodes, infos[:3], infos[3:], constants)


@pytest.fixture(scope="session")
def windowed_toy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ToyBundle]:
    """`windowed_toy(**choices)` writes a windowed bundle, once for each choice: see `_windowed`.

    Its masks are sigmoid(c0 x (magnitudes @ mix) + c1 x position): `mix` [T, E] lets each emitted
    frame depend on all frames of the block, `position` [E] on its own place in the block, c
    [Q, 2] are the conditioning. With two mask parts the second is 0.5 minus the first.
    """
    onnx = pytest.importorskip("onnx", reason="builds the toy bundles")
    folder = tmp_path_factory.mktemp("windowed-toys")

    @cache
    def build(**choices: Any) -> ToyBundle:
        spec, parts, batch, folded = _windowed(**choices)
        conditioning = np.random.default_rng(2).uniform(-2, 2, (len(spec.queries), 2))
        model = _windowed_graph(onnx, spec, conditioning, parts, batch, folded)
        onnx.helper.set_model_props(model, {"soloist": spec.to_json()})
        path = folder / f"{len(list(folder.iterdir()))}.onnx"
        onnx.save(model, path)
        return ToyBundle(path, spec, conditioning.astype(np.float32))

    return build


def _windowed(
    queries: int = 1,
    parts: int = 1,
    n_fft: int = 64,
    hop: int = 16,
    samples: int = 500,
    emitted: int = 20,
    baked: int = 2,
    advance: int = 5,
    crossfade: int = 2,
    padding: Padding = "zeros",
    fill: Fill = "zeros",
    batch: int | str = "B",
    folded: bool = False,
) -> tuple[Spec, int, int | str, bool]:
    """The spec of a windowed toy, whether its masks have two parts, its batch, folded queries."""
    frames = Frames(n_fft, hop, "hann", "hann-istft", padding)
    names = list(CLASSES)[:queries]
    schedule = Schedule(
        frames=frames,
        window_samples=samples,
        emitted=emitted,
        baked=baked,
        crossfade=crossfade,
        advance=advance,
        lookahead=baked,
        compute=advance,
    )
    spec = replace(
        _spec(Frames(n_fft, hop), names, [np.zeros(2, np.float32)] * queries),
        name="windowed-toy",
        kind="windowed",
        sample_rate=16_000,
        frames=frames,
        latency_samples=schedule.latency_samples,
        window_samples=samples,
        window_frames=1 + samples // hop,
        emitted_frames=emitted,
        lookahead_frames=baked,
        advance_frames=advance,
        crossfade_frames=crossfade,
        fill=fill,
    )
    return spec, parts, batch, folded


def _windowed_graph(
    onnx: ModuleType,
    spec: Spec,
    conditioning: NDArray[np.float64],
    parts: int,
    batch: int | str,
    folded: bool,
) -> Any:
    """The windowed graph: spectrogram [B,F,T,2], conditioning [Q,2] to masks [B,Q,F,E,M]."""
    make, bins = onnx.helper, spec.frames.bins
    frames, emitted = spec.window_frames or 0, spec.emitted_frames or 0
    rng = np.random.default_rng(3)
    constants: dict[str, NDArray[Any]] = {
        "mix": rng.standard_normal((frames, emitted)) / frames,
        "position": rng.standard_normal(emitted),
        "half": np.array(0.5),
        "last_axis": np.array([-1]),
        "query_axis": np.array([1]),
        "conditioning": conditioning,
    }
    nodes = [
        make.make_node("ReduceL2", ["spectrogram", "last_axis"], ["magnitude"], keepdims=0),
        make.make_node("MatMul", ["magnitude", "mix"], ["mixed"]),
        make.make_node("Unsqueeze", ["mixed", "query_axis"], ["level"]),
        make.make_node("Split", ["conditioning"], ["c0", "c1"], axis=1, num_outputs=2),
        make.make_node("Unsqueeze", ["c0", "last_axis"], ["gate"]),
        make.make_node("Unsqueeze", ["c1", "last_axis"], ["shift"]),
        make.make_node("Mul", ["level", "gate"], ["gated"]),
        make.make_node("Mul", ["shift", "position"], ["shifts"]),
        make.make_node("Add", ["gated", "shifts"], ["logit"]),
        make.make_node("Sigmoid", ["logit"], ["flat"]),
        make.make_node("Unsqueeze", ["flat", "last_axis"], ["real"]),
        make.make_node("Sub", ["half", "real"], ["imaginary"]),
        make.make_node("Concat", ["real", "imaginary"][:parts], ["masks"], axis=-1),
    ]
    queries: int | str = conditioning.shape[0] if folded else "Q"
    values = {
        "spectrogram": [batch, bins, frames, 2],
        "conditioning": [queries, 2],
        "masks": [batch, queries, bins, emitted, parts],
    }
    infos = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in values.items()]
    inputs = infos[:1] if folded else infos[:2]
    return _model(onnx, nodes, inputs, infos[2:], constants)


def _conditioner(onnx: ModuleType, matrix: NDArray[np.float32]) -> bytes:
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [make.make_node("MatMul", ["embedding", "matrix"], ["conditioning"])]
    embedding = make.make_tensor_value_info("embedding", floats, ["N", EMBEDDING])
    conditioning = make.make_tensor_value_info("conditioning", floats, ["N", BANDS])
    model = _model(onnx, nodes, [embedding], [conditioning], {"matrix": matrix})
    return bytes(model.SerializeToString())


def _listener(onnx: ModuleType) -> bytes:
    """Hears 0.175 s every 50 ms; the mean magnitude of 129 bins times a matrix are the log-odds."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    frames, bins = 16, 129
    matrix = np.random.default_rng(2).standard_normal((bins, len(CLASSES))) / 10
    constants = {"matrix": matrix, "axis": np.array([1]), "rare": np.full(len(CLASSES), -1.0)}
    nodes = [
        make.make_node("ReduceMean", ["magnitudes", "axis"], ["mean"], keepdims=0),
        make.make_node("MatMul", ["mean", "matrix"], ["evidence"]),
        make.make_node("Add", ["evidence", "rare"], ["presence"]),
    ]
    heard = make.make_tensor_value_info("magnitudes", floats, [1, frames, bins])
    presence = make.make_tensor_value_info("presence", floats, [1, len(CLASSES)])
    model = _model(onnx, nodes, [heard], [presence], constants)
    opposition = Opposition(
        share=0.5,
        bias=-0.2,
        lift=0.1,
        usual=-2.0,
        unlike=0.5,
        same=0.8,
        memory_s=0.5,
        offsets=2,
    )
    hearing = Hearing(
        window=1200,
        hop=480,
        n_fft=1536,
        classes=tuple(CLASSES),
        every_s=0.05,
        budget_s=0.01,
        opposition=opposition,
    )
    onnx.helper.set_model_props(model, {"soloist.hearing": hearing.to_json()})
    return bytes(model.SerializeToString())


def _model(
    onnx: ModuleType,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: Mapping[str, NDArray[Any]],
) -> Any:
    initializers = [
        onnx.numpy_helper.from_array(
            value.astype(np.int64 if value.dtype.kind == "i" else np.float32), name
        )
        for name, value in constants.items()
    ]
    graph = onnx.helper.make_graph(nodes, "toy", inputs, outputs, initializers)
    opset = onnx.helper.make_opsetid("", 18)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


class Golden:
    """What the published code computes, with weights made from their names.

    The README of the folder beside the checkout says what each array is and how close to come.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arrays(self, name: str) -> Mapping[str, NDArray[np.generic]]:
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

    def column(self, name: str, title: str) -> dict[str, str]:
        """What one column of `../reference/NAME_state_dict.tsv` says of each key."""
        text = (self.folder.parent / "reference" / f"{name}_state_dict.tsv").read_text("utf-8")
        titles, *rows = (line.split("\t") for line in text.splitlines())
        return {row[0]: row[titles.index(title)] for row in rows}

    def recipe(self, name: str) -> ModuleType:
        """The recipe `NAME.py`, such as `fill_weights`."""
        if name not in sys.modules:  # under its own name, by which recipes import each other
            spec = importlib.util.spec_from_file_location(name, self.folder / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # it is read-only
            try:
                spec.loader.exec_module(module)
            finally:
                sys.dont_write_bytecode = written
            sys.modules[name] = module
        return sys.modules[name]


@pytest.fixture(scope="session")
def golden() -> Golden:
    """The golden vectors. Skips where they are not there, but not under CI, where they must be."""
    folder = Path(__file__).parents[2] / "shared" / "golden"
    if not folder.is_dir():
        reason = f"no golden vectors in {folder}: they come with the project's own checks only"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return Golden(folder)
