"""What no file from a stranger may hold: each is told in a line, before onnxruntime sees it."""

import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soloist.runtime import limits, ort
from soloist.runtime.admission import admit
from soloist.runtime.bundle import Bundle, shipped
from soloist.runtime.conditioner import Conditioner
from soloist.runtime.errors import BundleError
from soloist.runtime.session import Session

onnx = pytest.importorskip("onnx", reason="writes what is refused")

Toys = Callable[..., Any]
make, FLOAT, INT64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def numbers(name: str, values: Any) -> Any:
    array = np.asarray(values)
    return onnx.numpy_helper.from_array(
        array.astype(np.int64 if array.dtype.kind == "i" else np.float32), name
    )


def model(nodes: list[Any], weights: list[Any] | None = None, **opset: int) -> Any:
    """A conditioner: `embedding` [N, 4] to `conditioning` [N, 4] by way of `nodes`."""
    inputs = [make.make_tensor_value_info("embedding", FLOAT, ["N", 4])]
    outputs = [make.make_tensor_value_info("conditioning", FLOAT, ["N", 4])]
    graph = make.make_graph(nodes, "graph", inputs, outputs, weights or [])
    domains = [make.make_opsetid(domain, version) for domain, version in opset.items()]
    opsets = [make.make_opsetid("", 18), *domains]
    return make.make_model(graph, opset_imports=opsets, ir_version=8)


def good() -> Any:
    return model([make.make_node("Mul", ["embedding", "w"], ["conditioning"])], [numbers("w", [2])])


def refused(content: bytes | Any) -> str:
    data = content if isinstance(content, bytes) else content.SerializeToString()
    with pytest.raises(BundleError) as caught:
        admit(memoryview(data))
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_what_is_fine_is_admitted(toy_bundle: Toys) -> None:
    admit(memoryview(good().SerializeToString()))
    admit(memoryview(toy_bundle().path.read_bytes()))
    for name in shipped():
        admit(memoryview(Bundle.open(name).path.read_bytes()))


def elsewhere(tensor: Any, location: str) -> Any:
    """`tensor`, as it says, to be found in the file `location`."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


LOCATIONS = [
    "beside.bin",
    "../outside/secret.bin",
    "{outside}/secret.bin",
    "link.bin",
    "in_cwd.bin",
]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("where", ["weights", "attribute"])
def test_weights_of_other_files_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, where: str
) -> None:
    """Onnxruntime 1.31 reads a file beside the model, or in the current folder for bytes."""
    (tmp_path / "models").mkdir()
    (tmp_path / "outside").mkdir()
    for name in ("models/beside.bin", "outside/secret.bin", "in_cwd.bin"):
        np.ones(4, np.float32).tofile(tmp_path / name)
    (tmp_path / "models" / "link.bin").symlink_to(tmp_path / "outside" / "secret.bin")
    monkeypatch.chdir(tmp_path)
    location = location.format(outside=tmp_path / "outside")
    weights = elsewhere(numbers("w", [1.0, 1, 1, 1]), location)
    nodes = [make.make_node("Mul", ["embedding", "w"], ["conditioning"])]
    if where == "attribute":
        nodes.insert(0, make.make_node("Constant", [], ["w"], value=weights))
    found = model(nodes, [weights] if where == "weights" else [])
    path = tmp_path / "models" / "model.onnx"
    path.write_bytes(found.SerializeToString())
    opened: list[str] = []
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *a, **k: opened.append("!"))
    for given in (path, path.read_bytes()):
        with pytest.raises(BundleError, match="weights lie in another file"):
            ort.open_cpu(given)
    assert not opened


def test_external_data_without_the_word_external() -> None:
    broken = good()
    broken.graph.initializer[0].external_data.add(key="location", value="x")
    assert "another file" in refused(broken)


def loop() -> Any:
    ticks = [make.make_tensor_value_info(n, t, []) for n, t in (("i", INT64), ("more", 9))]
    body = make.make_graph(
        [make.make_node("Identity", ["more"], ["go_on"])],
        "body",
        ticks,
        [make.make_tensor_value_info("go_on", 9, [])],
    )
    return make.make_node("Loop", ["", "always"], ["conditioning"], body=body)


OPERATORS = {
    "Loop": (loop(), "a graph of its own"),
    "custom": (
        make.make_node("Mul", ["embedding"] * 2, ["conditioning"], domain="evil"),
        "evil.Mul",
    ),
    "vendor": (
        make.make_node("FusedMatMul", ["embedding"] * 2, ["y"], domain="com.microsoft"),
        "com",
    ),
    "random": (
        make.make_node("RandomNormalLike", ["embedding"], ["conditioning"]),
        "RandomNormalLike",
    ),
    "lists": (make.make_node("SequenceConstruct", ["embedding"], ["y"]), "SequenceConstruct"),
    "unknown": (make.make_node("\x1b[31m\nEvil", ["embedding"], ["y"]), r"\x1b[31m\nEvil"),
    "order": (make.make_node("Mul", ["embedding", "later"], ["conditioning"]), "not in order"),
    "sparse": (
        make.make_node(
            "Constant",
            [],
            ["y"],
            sparse_value=make.make_sparse_tensor(numbers("v", [1.0]), numbers("i", [5]), [10**9]),
        ),
        "neither numbers, a text nor a tensor",
    ),
    "no groups": (
        make.make_node("ConvTranspose", ["embedding"] * 2, ["y"], group=0),
        "group is [0]",
    ),
    "no steps": (make.make_node("MaxPool", ["embedding"], ["y"], strides=[1, 0]), "strides is [0]"),
    "fewer outputs": (
        make.make_node("Split", ["embedding"], ["a", "b"], num_outputs=1),
        "makes [1] outputs, 2 are named",
    ),
    "left out": (make.make_node("Max", ["embedding", ""], ["y"]), "Max lacks an input"),
    "far axis": (make.make_node("Softmax", ["embedding"], ["y"], axis=-(2**31)), "axis is [-2147"),
    "batch": (make.make_node("GatherND", ["embedding"] * 2, ["y"], batch_dims=-2), "is [-2]"),
    "OneHot": (make.make_node("OneHot", ["embedding"] * 3, ["y"]), "operator 'OneHot'"),
    "giant kernel": (
        make.make_node("MaxPool", ["embedding"], ["y"], kernel_shape=[2**40]),
        "kernel",
    ),
}


def test_an_input_may_be_left_out_where_the_operator_says_so() -> None:
    clip = make.make_node("Clip", ["embedding", "", "w"], ["conditioning"])
    admit(memoryview(model([clip], [numbers("w", 1.0)]).SerializeToString()))


@pytest.mark.parametrize("kind", OPERATORS)
def test_operators_and_their_attributes(kind: str) -> None:
    node, words = OPERATORS[kind]
    assert words in refused(model([node]))


@pytest.mark.parametrize(
    "nodes",
    [
        [("Expand", ["embedding", "heard"])],
        [("Reshape", ["embedding", "heard"])],
        [("Tile", ["embedding", "heard"])],
        [("Range", ["zero", "heard", "zero"])],
        [("Pad", ["embedding", "heard"])],
        [("Slice", ["embedding", "zero", "heard"])],
        [("Resize", ["embedding", "", "", "heard"])],
        [("Identity", ["heard"]), ("ConstantOfShape", ["value0"])],
    ],
    ids=lambda nodes: nodes[-1][0],
)
def test_sizes_that_depend_on_what_is_heard(nodes: list[tuple[str, list[str]]]) -> None:
    cast = make.make_node("Cast", ["embedding"], ["heard"], to=INT64)
    rest = [make.make_node(op, names, [f"value{i}"]) for i, (op, names) in enumerate(nodes)]
    assert "depends on what is heard" in refused(model([cast, *rest], [numbers("zero", 0)]))


def test_sizes_may_depend_on_sizes() -> None:
    nodes = [
        make.make_node("Shape", ["embedding"], ["shape"]),
        make.make_node("Expand", ["w", "shape"], ["conditioning"]),
    ]
    admit(memoryview(model(nodes, [numbers("w", [1.0])]).SerializeToString()))


def declared(dims: list[int], kind: int = FLOAT, data: bytes = b"1234") -> Any:
    return onnx.TensorProto(name="w", dims=dims, data_type=kind, raw_data=data)


WEIGHTS = {
    "100 GB": (declared([10**5, 10**6]), "at most"),
    "overflow": (declared([2**62, 4, 4]), "at most"),
    "negative": (declared([-1, -4]), "shape [-1, -4]"),
    "more than is there": (declared([1000]), "1000 weights are declared"),
    "axes": (declared([1] * 9), "9 axes"),
    "many axes": (declared([1] * 5000), "5000 axes"),
    "texts": (declared([1], onnx.TensorProto.STRING), "no numbers"),
    "complex": (declared([1], onnx.TensorProto.COMPLEX64), "no numbers"),
    "nothing": (declared([1], 0), "no numbers"),
    "long name": (onnx.TensorProto(name="w" * 2000, dims=[1], data_type=1), "a name of 2000 bytes"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights(kind: str) -> None:
    weights, words = WEIGHTS[kind]
    node = make.make_node("Mul", ["embedding", "w"], ["conditioning"])
    assert words in refused(model([node], [weights]))
    constant = make.make_node("Constant", [], ["w"], value=weights)
    assert words in refused(model([constant, node]))


def test_declared_values() -> None:
    for info, words in (
        (make.make_tensor_value_info("v", FLOAT, [10**5, 10**6]), "at most"),
        (make.make_tensor_sequence_value_info("v", FLOAT, [1]), "no tensor"),
        (make.make_tensor_value_info("v", onnx.TensorProto.STRING, [1]), "no numbers"),
    ):
        for place in ("input", "output", "value_info"):
            broken = good()
            getattr(broken.graph, place).append(info)
            assert words in refused(broken)


def test_the_rest_of_a_model() -> None:
    functions, training, sparse, twice, old, strange = (good() for _ in range(6))
    functions.functions.add(name="f", domain="")
    training.training_info.add()
    sparse.graph.sparse_initializer.add(dims=[10**9])
    strange.opset_import.add(domain="evil", version=1)
    old.opset_import[0].version = 7
    assert "functions of its own" in refused(functions)
    assert "training graph" in refused(training)
    assert "sparse weights" in refused(sparse)
    assert "'evil'" in refused(strange)
    assert "opset 7 is older" in refused(old)
    assert "2 graphs" in refused(twice.SerializeToString() * 2)
    assert "0 graphs" in refused(b"")


def test_two_tensors_that_the_library_would_merge() -> None:
    halves = [declared([2**14], data=bytes(2**15)).SerializeToString() for _ in range(2)]
    value = b"".join(b"\x2a" + varint(len(half)) + half for half in halves)  # field 5, twice
    attribute = onnx.AttributeProto(name="value").SerializeToString() + value
    node = onnx.NodeProto(op_type="Constant", output=["w"]).SerializeToString()
    node += b"\x2a" + varint(len(attribute)) + attribute
    graph = b"\x0a" + varint(len(node)) + node
    assert "several tensors" in refused(b"\x3a" + varint(len(graph)) + graph)


def varint(number: int) -> bytes:
    return b"" if number < 0 else bytes([number]) if number < 128 else more(number)


def more(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("MAX_FILE_BYTES", "bytes, at most 1 are read"),
        ("MAX_METADATA_BYTES", "bytes of metadata, at most 1"),
        ("MAX_NODES", "2 nodes, at most 1"),
        ("MAX_FIELDS", "too many fields"),
        ("MAX_ELEMENTS", "at most 1 numbers"),
    ],
)
def test_limits(monkeypatch: pytest.MonkeyPatch, limit: str, words: str) -> None:
    found = good()
    found.graph.node.append(make.make_node("Identity", ["embedding"], ["copy"]))
    make.set_model_props(found, {"key": "value"})
    monkeypatch.setattr(limits, limit, 1)
    assert words in refused(found)


def test_a_long_file_is_not_even_read(tmp_path: Path) -> None:
    with open(tmp_path / "long.onnx", "wb") as file:
        file.truncate(limits.MAX_FILE_BYTES + 1)
    with pytest.raises(BundleError, match=r"long.onnx: 1073741825 bytes, at most"):
        Bundle.open(tmp_path / "long.onnx")


def test_texts_that_are_none() -> None:
    broken = good()
    make.set_model_props(broken, {"key": "value"})
    assert "utf-8" in refused(broken.SerializeToString().replace(b"value", b"val\xff\xfe"))
    assert "utf-8" in refused(good().SerializeToString().replace(b"embedding", b"\xff" * 9))


GREEDY = """
import sys
from soloist.runtime import ort
from soloist.runtime.conditioner import Conditioner
from soloist.runtime.errors import BundleError
import numpy as np
ort.MEMORY_LIMIT = 1 << 20
try:
    Conditioner(sys.stdin.buffer.read())(np.ones((1, 4), np.float32))
except BundleError as error:
    print(error)
"""


def test_memory_that_a_graph_asks_for_when_it_runs() -> None:
    """In a process of its own, since the arena is one a process."""
    nodes = [
        make.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        make.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        make.make_node("Add", ["embedding", "zero"], ["conditioning"]),
    ]
    greedy = model(nodes, [numbers("shape", [10**7])]).SerializeToString()
    admit(memoryview(greedy))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", GREEDY], input=greedy, capture_output=True, env=environment
    )
    assert re.search(rb"^the graph cannot be run .*ConstantOfShape", found.stdout), found
    assert found.stderr == b""


def endless(start: str) -> list[Any]:
    """Nodes that make the value `least` out of `start` in a time beyond any limit of the tests."""
    nodes = [make.make_node("Add", ["wide", start], ["m0"])]
    nodes += [make.make_node("MatMul", [f"m{i}"] * 2, [f"m{i + 1}"]) for i in range(4000)]
    return [*nodes, make.make_node("ReduceMin", ["m4000"], ["least"], keepdims=0)]


WIDE = numbers("wide", np.ones((400, 400)))


def test_a_conditioner_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        make.make_node("ReduceMin", ["embedding"], ["start"], keepdims=0),
        *endless("start"),
        make.make_node("Add", ["embedding", "least"], ["conditioning"]),
    ]
    conditioner = Conditioner(model(nodes, [WIDE]).SerializeToString())
    monkeypatch.setattr(ort, "TRIAL_SECONDS", 0.05)
    with pytest.raises(BundleError, match=r"cannot be run \(no end within"):
        conditioner(np.ones((1, 4), np.float32))


def test_waiting_for_a_processor_is_no_fault_of_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "TRIAL_SECONDS", 0.1)

    def run(options: Any) -> bool:
        time.sleep(0.4)
        return bool(options.terminate)

    assert not ort.run_in_time(run)
    monkeypatch.setattr(ort, "_PATIENCE", 2)
    assert ort.run_in_time(run)  # not for ever


@pytest.fixture
def slow(toy_bundle: Toys, tmp_path: Path) -> Callable[[str], Path]:
    """`slow(start)` writes a bundle that needs a long time for what it makes of the value."""

    def write(start: str) -> Path:
        bundle = onnx.load(toy_bundle().path)
        next(n for n in bundle.graph.node if n.output[0] == "stems").output[0] = "final"
        bundle.graph.initializer.extend([WIDE, numbers("one", 1.0)])
        bundle.graph.node.append(make.make_node("ReduceMax", ["level"], ["loudest"], keepdims=0))
        bundle.graph.node.extend(endless(start))
        bundle.graph.node.append(make.make_node("Add", ["final", "least"], ["stems"]))
        onnx.save(bundle, tmp_path / "slow.onnx")
        return tmp_path / "slow.onnx"

    return write


@pytest.mark.parametrize("start", ["loudest", "one"])  # the second hears nothing
def test_a_hop_without_end(
    slow: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    path = slow(start)
    monkeypatch.setattr(ort, "TRIAL_SECONDS", 0.05)
    with pytest.raises(BundleError, match=r"slow.onnx: the graph cannot be run \(no end within"):
        Bundle.open(path)


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ([("Tile", ["embedding", "twice"])], r"\(2, 4\) numbers, expected \(1, 4\)"),
        ([("Div", ["embedding", "zero"])], r"expected \(1, 4\) finite ones"),
    ],
)
def test_a_conditioner_that_is_not_what_it_claims(
    nodes: list[tuple[str, list[str]]], found: str
) -> None:
    made = [make.make_node(op, names, ["conditioning"]) for op, names in nodes]
    weights = [numbers("twice", [2, 1]), numbers("zero", [0.0])]
    conditioner = Conditioner(model(made, weights).SerializeToString())
    with pytest.raises(BundleError, match=found):
        conditioner(np.ones((1, 4), np.float32))


def test_a_conditioner_inside_a_bundle_is_looked_at_too(toy_bundle: Toys, tmp_path: Path) -> None:
    bad = model([make.make_node("Mul", ["embedding", "w"], ["conditioning"])])
    bad.graph.initializer.append(elsewhere(numbers("w", [2.0]), "/etc/passwd"))
    bundle = onnx.load(toy_bundle().path)
    texts = {entry.key: entry.value for entry in bundle.metadata_props}
    del bundle.metadata_props[:]
    inside = base64.b64encode(bad.SerializeToString()).decode()
    make.set_model_props(bundle, texts | {"soloist.conditioner": inside})
    onnx.save(bundle, tmp_path / "carrier.onnx")
    with pytest.raises(BundleError, match=r"carrier.onnx: .*weights lie in another file"):
        _ = Bundle.open(tmp_path / "carrier.onnx").conditioner


def test_the_state_of_a_bundle(
    toy_bundle: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soloist.runtime.bundle.MAX_STATE", 7)
    with pytest.raises(BundleError, match="graph's S is 8, at most 7"):
        Bundle.open(toy_bundle().path)


def test_other_queries_baked_in_than_promised(toy_bundle: Toys, tmp_path: Path) -> None:
    bundle = onnx.load(toy_bundle(queries=2).path)
    del bundle.metadata_props[:]
    make.set_model_props(bundle, {"soloist": toy_bundle(queries=3).spec.to_json()})
    onnx.save(bundle, tmp_path / "two.onnx")
    with pytest.raises(BundleError, match=r"makes stems of \[1, 2, 513, 2\], expected \[1, 3,"):
        Bundle.open(tmp_path / "two.onnx")


def test_a_session_is_as_fresh_as_if_nothing_had_run(toy_bundle: Toys) -> None:
    session = Session(toy_bundle().bundle, device="cpu")
    assert not session.stems.any() and not session.spectrum.any()
