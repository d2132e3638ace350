"""The listener inside a bundle: what it hears, and every way to be none."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError
from soloist.runtime.listener import Hearing, Listener

onnx = pytest.importorskip("onnx", reason="builds broken listeners")

Toys = Callable[..., Any]


@pytest.fixture
def bundle(toy_bundle: Toys) -> Bundle:
    found: Bundle = toy_bundle(listens=True).bundle
    return found


def carried(bundle: Bundle) -> Any:
    return onnx.load_from_string(base64.b64decode(bundle.metadata["soloist.listener"]))


def test_it_hears_magnitudes_of_its_frames(bundle: Bundle) -> None:
    listener = bundle.listener
    assert listener is not None and listener.samples == 15 * 480 + 1200
    audio = np.random.default_rng(3).standard_normal(listener.samples).astype(np.float32)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1200) / 1200)
    frames = [audio[480 * n : 480 * n + 1200] * window for n in range(16)]
    mean = np.mean([np.abs(np.fft.fft(frame, 1536))[:129] for frame in frames], axis=0)
    matrix = np.random.default_rng(2).standard_normal((129, len(listener.hearing.classes))) / 10
    np.testing.assert_allclose(listener(audio), mean @ matrix - 1, rtol=1e-4, atol=1e-4)


def test_what_it_says_about_itself_comes_back(bundle: Bundle) -> None:
    assert bundle.listener is not None
    hearing = bundle.listener.hearing
    assert Hearing.from_json(hearing.to_json()) == hearing


def test_a_bundle_without_one_says_so(toy_bundle: Toys) -> None:
    assert toy_bundle().bundle.listener is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"hop": 0}, "hop"),
        ({"window": 2000}, "window"),
        ({"every_s": 0.005}, "every"),
        ({"classes": []}, "0 classes"),
        ({"opposition": {"share": 1e9}}, "share"),
        ({"opposition": {"same": 0.1}}, "same"),
        ({"opposition": {"offsets": -1}}, "offsets"),
        ({"opposition": {"memory_s": 0}}, "memory_s"),
        ({"window": "long"}, "window"),
    ],
)
def test_values_out_of_range(bundle: Bundle, changes: dict[str, Any], what: str) -> None:
    assert bundle.listener is not None
    record = json.loads(bundle.listener.hearing.to_json())
    inner = changes.pop("opposition", {})
    record = record | changes | {"opposition": record["opposition"] | inner}
    with pytest.raises(BundleError, match=what):
        Hearing.from_json(json.dumps(record))


def test_a_graph_of_another_form(bundle: Bundle) -> None:
    model = carried(bundle)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "others"
    with pytest.raises(BundleError, match="expected magnitudes"):
        Listener(model.SerializeToString())
    assert bundle.listener is not None
    fewer = replace(bundle.listener.hearing, classes=("dog",))
    model = carried(bundle)
    onnx.helper.set_model_props(model, {"soloist.hearing": fewer.to_json()})
    with pytest.raises(BundleError, match=r"presence \[1, 1\]"):
        Listener(model.SerializeToString())


@pytest.mark.parametrize("text", ["no base64!", "AAAA"])
def test_a_damaged_one_is_one_line(toy_bundle: Toys, tmp_path: Path, text: str) -> None:
    path = tmp_path / "damaged.onnx"
    model = onnx.load(toy_bundle(listens=True).path)
    for entry in model.metadata_props:
        if entry.key == "soloist.listener":
            entry.value = text
    onnx.save(model, path)
    with pytest.raises(BundleError, match="listener is unreadable") as caught:
        Bundle.open(path).listener  # noqa: B018  # reading it is what fails
    assert "\n" not in str(caught.value)


def test_classes_that_the_bundle_has_no_words_for(toy_bundle: Toys, tmp_path: Path) -> None:
    toy = toy_bundle(listens=True)
    inside = carried(toy.bundle)
    hearing = toy.bundle.listener.hearing
    strange = ("yeti", *hearing.classes[1:])
    onnx.helper.set_model_props(
        inside, {"soloist.hearing": replace(hearing, classes=strange).to_json()}
    )
    model = onnx.load(toy.path)
    for entry in model.metadata_props:
        if entry.key == "soloist.listener":
            entry.value = base64.b64encode(inside.SerializeToString()).decode()
    path = tmp_path / "strange.onnx"
    onnx.save(model, path)
    with pytest.raises(BundleError, match="yeti"):
        Bundle.open(path).listener  # noqa: B018
