"""Bundles open, and every way to be none is told apart."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soloist.runtime.bundle import Bundle, shipped
from soloist.runtime.errors import BundleError
from soloist.runtime.session import Session

onnx = pytest.importorskip("onnx", reason="builds broken bundles")

Toys = Callable[..., Any]


@pytest.fixture
def broken(toy_bundle: Toys, tmp_path: Path) -> Callable[..., Path]:
    """`broken(change)` writes the toy bundle after `change(model)` and returns its path."""

    def write(change: Callable[[Any], None]) -> Path:
        model = onnx.load(toy_bundle().path)
        change(model)
        path = tmp_path / "broken.onnx"
        onnx.save(model, path)
        return path

    return write


def set_metadata(**texts: str | None) -> Callable[[Any], None]:
    """A change that sets `soloist` and `soloist_<key>` texts, or removes those that are None."""

    def change(model: Any) -> None:
        texts_now = {entry.key: entry.value for entry in model.metadata_props}
        for key, text in texts.items():
            texts_now.pop(key.replace("_", "."), None)
            if text is not None:
                texts_now[key.replace("_", ".")] = text
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, texts_now)

    return change


def test_a_good_bundle_tells_everything(toy_bundle: Toys) -> None:
    toy = toy_bundle(queries=3)
    bundle = Bundle.open(toy.path)
    assert bundle.path == toy.path
    assert bundle.spec == toy.spec
    assert (bundle.state_size, bundle.conditioning_size) == (8, 8)
    assert bundle.encoder == "toy-encoder"
    assert bundle.card is not None and bundle.card.startswith("# Toy")
    assert bundle.vocabulary is not None and bundle.vocabulary.classes["dog"][1] == "barking dog"
    assert bundle.conditioner is not None
    rows = bundle.vocabulary.embeddings[[0, 2, 4]]  # dog, rain, piano: the baked queries
    np.testing.assert_allclose(bundle.conditioner(rows), toy.conditioning, rtol=1e-5)


def test_the_extras_may_be_absent(broken: Callable[..., Path]) -> None:
    remove = set_metadata(soloist_vocabulary=None, soloist_conditioner=None, soloist_card=None)
    bundle = Bundle.open(broken(remove))
    assert (bundle.vocabulary, bundle.conditioner, bundle.card) == (None, None, None)


@pytest.mark.parametrize("name", shipped())
def test_what_ships_opens_by_name(name: str) -> None:
    assert Bundle.open(name).spec.sample_rate > 0


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no model .*absent.onnx.*no such file"):
        Bundle.open(tmp_path / "absent.onnx")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="a folder"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVEfmt ", b"plain text\n" * 9])
def test_a_file_that_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "song.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"song.onnx") as caught:
        Bundle.open(path)
    assert "\n" not in str(caught.value)


def test_a_bundle_cut_short(toy_bundle: Toys, tmp_path: Path) -> None:
    path = tmp_path / "short.onnx"
    path.write_bytes(toy_bundle().path.read_bytes()[:-500])
    with pytest.raises(BundleError, match=r"short.onnx"):
        Bundle.open(path)


def test_onnx_without_a_spec(broken: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match="no Soloist bundle"):
        Bundle.open(broken(set_metadata(soloist=None)))


def test_a_broken_spec_names_the_file(broken: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match=r"broken.onnx: bundle spec"):
        Bundle.open(broken(set_metadata(soloist="{}")))


def test_a_spec_of_another_geometry(toy_bundle: Toys, broken: Callable[..., Path]) -> None:
    spec = toy_bundle(n_fft=512, hop=128).spec
    with pytest.raises(BundleError, match=r"spectrum is .*513.*expected .*257"):
        Bundle.open(broken(set_metadata(soloist=spec.to_json())))


def rename(name: str, other: str) -> Callable[[Any], None]:
    """A change that gives a value of the graph another name."""

    def change(model: Any) -> None:
        graph = model.graph
        for value in [*graph.input, *graph.output, *graph.initializer]:
            value.name = other if value.name == name else value.name
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [other if n == name else n for n in names]

    return change


@pytest.mark.parametrize("name", ["spectrum", "state", "conditioning", "stems", "next_state"])
def test_a_graph_with_another_name(broken: Callable[..., Path], name: str) -> None:
    with pytest.raises(BundleError, match=f"expected .*{name}"):
        Bundle.open(broken(rename(name, "other")))


def test_conditioning_without_a_default(broken: Callable[..., Path]) -> None:
    def change(model: Any) -> None:
        kept = [i for i in model.graph.initializer if i.name != "conditioning"]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)

    with pytest.raises(BundleError, match="inputs are conditioning, spectrum, state"):
        Bundle.open(broken(change))


def test_conditioning_that_is_a_constant(broken: Callable[..., Path]) -> None:
    def change(model: Any) -> None:
        model.graph.input.remove(next(i for i in model.graph.input if i.name == "conditioning"))

    with pytest.raises(BundleError, match="inputs with a default are none"):
        Bundle.open(broken(change))


@pytest.mark.parametrize(("name", "axis"), [("spectrum", 0), ("conditioning", 0), ("state", 0)])
def test_an_axis_fixed_that_must_be_open(broken: Callable[..., Path], name: str, axis: int) -> None:
    def change(model: Any) -> None:
        value = next(i for i in model.graph.input if i.name == name)
        value.type.tensor_type.shape.dim[axis].dim_value = 1

    with pytest.raises(BundleError, match=f"graph's {name} is"):
        Bundle.open(broken(change))


def test_a_state_of_open_size(broken: Callable[..., Path]) -> None:
    def change(model: Any) -> None:
        value = next(i for i in model.graph.input if i.name == "state")
        value.type.tensor_type.shape.dim[1].dim_param = "S"

    with pytest.raises(BundleError, match="graph's state is"):
        Bundle.open(broken(change))


@pytest.mark.parametrize("text", ["?", "é", "=" * 9])
def test_a_conditioner_that_is_no_base64(broken: Callable[..., Path], text: str) -> None:
    bundle = Bundle.open(broken(set_metadata(soloist_conditioner=text)))
    with pytest.raises(BundleError, match="conditioner is unreadable"):
        _ = bundle.conditioner


def test_a_conditioner_that_is_no_onnx(broken: Callable[..., Path]) -> None:
    text = base64.b64encode(b"nonsense").decode()
    bundle = Bundle.open(broken(set_metadata(soloist_conditioner=text)))
    with pytest.raises(BundleError, match="conditioner is unreadable"):
        _ = bundle.conditioner


def test_a_conditioner_that_is_another_graph(toy_bundle: Toys, broken: Callable[..., Path]) -> None:
    text = base64.b64encode(toy_bundle().path.read_bytes()).decode()
    bundle = Bundle.open(broken(set_metadata(soloist_conditioner=text)))
    with pytest.raises(BundleError, match="expected embedding"):
        _ = bundle.conditioner


def test_a_conditioner_for_embeddings_of_another_size(
    toy_bundle: Toys, broken: Callable[..., Path]
) -> None:
    record = json.loads(toy_bundle().bundle.vocabulary.to_json())
    record |= {"dimension": 3, "phrases": [], "classes": {}, "embeddings": ""}
    bundle = Bundle.open(broken(set_metadata(soloist_vocabulary=json.dumps(record))))
    with pytest.raises(BundleError, match="turns 6 numbers into 8, but embeddings have 3"):
        _ = bundle.conditioner


@pytest.mark.parametrize(
    ("choices", "conditioning_size"),
    [({}, 2), ({"queries": 3, "parts": 2}, 2), ({"batch": 1}, 2), ({"folded": True}, 0)],
)
def test_a_windowed_bundle_opens_and_cannot_be_stepped(
    windowed_toy: Toys, choices: dict[str, Any], conditioning_size: int
) -> None:
    toy = windowed_toy(**choices)
    bundle = Bundle.open(toy.path)
    assert bundle.spec == toy.spec
    assert (bundle.state_size, bundle.conditioning_size) == (0, conditioning_size)
    with pytest.raises(BundleError, match="windowed bundle"):
        Session(bundle)


@pytest.mark.parametrize(
    ("node", "axis", "size"),
    [
        ("spectrogram", 0, 2),
        ("spectrogram", 1, 32),
        ("spectrogram", 2, 33),
        ("masks", 1, 2),
    ],
)
def test_a_windowed_graph_of_another_shape_is_refused(
    windowed_toy: Toys, tmp_path: Path, node: str, axis: int, size: int
) -> None:
    model = onnx.load(windowed_toy().path)
    values = [*model.graph.input, *model.graph.output]
    value = next(value for value in values if value.name == node)
    value.type.tensor_type.shape.dim[axis].dim_value = size
    with pytest.raises(BundleError, match=rf"{node} is|cannot be loaded"):
        onnx.save(model, tmp_path / "other.onnx")
        Bundle.open(tmp_path / "other.onnx")


def test_a_windowed_spec_of_other_emitted_frames_is_refused(
    windowed_toy: Toys, tmp_path: Path
) -> None:
    model = onnx.load(windowed_toy().path)
    set_metadata(soloist=windowed_toy(emitted=19).spec.to_json())(model)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(BundleError, match=r"masks is .*20, 1\].*expected .*19, 'M'\]"):
        Bundle.open(tmp_path / "other.onnx")


def test_the_card_commands_no_terminal(broken: Callable[..., Path]) -> None:
    bundle = Bundle.open(broken(set_metadata(soloist_card="# Toy\n\x1b]0;owned\x07\tfine\n")))
    assert bundle.card == "# Toy\n]0;owned\tfine\n"
