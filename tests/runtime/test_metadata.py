"""Texts beside a graph, against the library that defines the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.runtime.bundle import Bundle, shipped
from soloist.runtime.errors import BundleError
from soloist.runtime.metadata import contents, read_metadata, without_metadata
from soloist.runtime.ort import open_cpu

onnx = pytest.importorskip("onnx", reason="writes the files")


def model(texts: dict[str, str], **rest: Any) -> Any:
    found = onnx.ModelProto(graph=onnx.GraphProto(name="graph"), **rest)
    onnx.helper.set_model_props(found, texts)
    return found


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=5),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.text(max_size=300),
)
def test_texts_are_those_of_the_library(texts: dict[str, str], version: int, about: str) -> None:
    written = model(texts, model_version=version, doc_string=about)
    whole = written.SerializeToString()
    assert read_metadata(whole) == texts
    bare = without_metadata(memoryview(whole))
    outweigh = 2 * sum(entry.ByteSize() for entry in written.metadata_props) > len(whole)
    assert (bare is not None) == outweigh
    if bare is not None:
        rest = model({}, model_version=version, doc_string=about)
        assert onnx.ModelProto.FromString(bare) == rest


def test_a_text_left_out_is_empty() -> None:
    entry = onnx.StringStringEntryProto(key="name")
    found = model({})
    found.metadata_props.append(entry)
    assert read_metadata(found.SerializeToString()) == {"name": ""}


def test_of_a_name_twice_the_last_counts() -> None:
    twice = model({})
    twice.metadata_props.extend(
        onnx.StringStringEntryProto(key="name", value=value) for value in ("first", "last")
    )
    assert read_metadata(twice.SerializeToString()) == {"name": "last"}


@pytest.mark.parametrize("name", shipped())
def test_a_session_keeps_no_texts_that_outweigh_its_graph(name: str) -> None:
    bundle = Bundle.open(name)
    assert bundle.metadata == {
        entry.key: entry.value for entry in onnx.load(bundle.path).metadata_props
    }
    assert sum(map(len, bundle.metadata.values())) > bundle.path.stat().st_size / 2
    assert open_cpu(bundle.path, optimise=False).get_modelmeta().custom_metadata_map == {}


def test_a_graph_that_outweighs_its_texts_is_loaded_by_its_path(
    toy_bundle: Callable[..., Any],
) -> None:
    path = toy_bundle().path
    heavy = onnx.load(path)
    weights = heavy.graph.initializer.add()
    weights.CopyFrom(onnx.numpy_helper.from_array(np.zeros(100_000, np.float32), "heavy"))
    onnx.save(heavy, path)
    assert without_metadata(contents(path)) is None
    kept = open_cpu(path, optimise=False).get_modelmeta().custom_metadata_map
    assert kept == read_metadata(path) != {}


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"\x72\x03ab", "3 bytes long, 2 are left"),
        (b"\x72\x02\x0a\x05", "5 bytes long, 0 are left"),
        (b"\x72\x05\x0a\x01\xff\x12\x00", "utf-8"),
    ],
)
def test_a_file_that_is_another_by_now(content: bytes, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=wrong):
        read_metadata(path)
    with pytest.raises(BundleError, match="cannot be read"):
        read_metadata(tmp_path / "gone.onnx")
