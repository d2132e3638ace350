"""The spec's JSON: any spec comes back equal; anything broken is named."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.runtime.errors import BundleError
from soloist.runtime.frames import Frames
from soloist.runtime.spec import Query, Spec

DIGEST = "0123456789abcdef" * 4

STREAMING = Spec(
    name="solo",
    architecture="late fusion",
    version="1",
    license="MIT",
    created_with="soloist 0.1",
    checkpoint_sha256=DIGEST,
    training={"manifest": DIGEST, "figures": {"si_sdri": 3.5}, "seeds": [1, 2]},
    kind="streaming",
    sample_rate=48_000,
    frames=Frames(1024, 128),
    queries=(
        Query("dog", ("dog", "barking dog"), ("rain",), "all-MiniLM-L6-v2", DIGEST),
        Query("rain", ("rain",), (), "all-MiniLM-L6-v2", DIGEST),
    ),
    residual=True,
    latency_samples=256,
    parity={"max_abs": 1e-6, "snr_db": 120.0},
)
# As one would export CLIPSep: a block of 4.096 s at 16 kHz, of which 40 frames are emitted.
WINDOWED = replace(
    STREAMING,
    kind="windowed",
    sample_rate=16_000,
    frames=Frames(1024, 256, "hann", "hann-istft", "zeros"),
    # Two advances of 16, cross-fade 4, look-ahead 8, one frame ahead; 3 hops of overlap.
    latency_samples=(2 * 16 + 4 + 8 - 1 + 3) * 256,
    window_samples=65_535,
    window_frames=256,
    emitted_frames=40,
    lookahead_frames=8,
    advance_frames=16,
    crossfade_frames=4,
    fill="repeat",
)

printable = st.characters(exclude_categories=("C", "Z"))
words = st.text(printable, min_size=1, max_size=20).filter(lambda text: text.strip() != "")
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any spec that is allowed."""
    hop = draw(st.integers(1, 4096))
    names = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    encoder = draw(words)
    phrases = st.lists(words, min_size=1, max_size=3).map(tuple)
    queries = [Query(n, draw(phrases), draw(phrases), encoder, draw(digests)) for n in names]
    common: dict[str, Any] = {
        "name": draw(words),
        "license": draw(st.text(printable)),
        "checkpoint_sha256": draw(digests),
        "training": draw(st.dictionaries(st.text(max_size=5), json_values, max_size=3)),
        "sample_rate": draw(st.integers(1_000, 768_000)),
        "frames": Frames(2 * (hop + draw(st.integers(0, 4096))), hop),
        "queries": tuple(queries),
        "residual": draw(st.booleans()),
        "parity": draw(
            st.dictionaries(st.text(printable, max_size=5), st.floats(-1e9, 1e9), max_size=3)
        ),
    }
    if draw(st.booleans()):
        return replace(STREAMING, latency_samples=2 * hop, **common)
    common["frames"] = replace(WINDOWED.frames, n_fft=8 * hop, hop=hop)
    advance, crossfade, samples = draw(st.integers(4, 9)), draw(st.integers(0, 4)), 60 * hop
    latency = (2 * advance + crossfade + 8 - 4 + 7) * hop  # 4 hops ahead, 7 of overlap
    return replace(
        WINDOWED,
        latency_samples=latency,
        window_samples=samples,
        window_frames=1 + samples // hop,
        advance_frames=advance,
        crossfade_frames=crossfade,
        fill=draw(st.sampled_from(["zeros", "repeat"])),
        **common,
    )


@settings(max_examples=60, deadline=None)
@given(specs())
def test_any_spec_comes_back_from_its_json(spec: Spec) -> None:
    assert Spec.from_json(spec.to_json()) == spec


def test_the_json_is_the_contract_with_older_files() -> None:
    record = json.loads(STREAMING.to_json())
    assert record["format"] == 1
    assert record["frames"] == {
        "n_fft": 1024,
        "hop": 128,
        "analysis": "asymmetric-analysis",
        "synthesis": "asymmetric-synthesis",
        "padding": "causal",
    }
    assert record["queries"][0]["positive"] == ["dog", "barking dog"]
    assert record["window_frames"] is None


WINDOWED_KEYS = [key for key in vars(STREAMING) if getattr(STREAMING, key) is None]


def test_windowed_keys_may_be_absent_from_a_streaming_spec() -> None:
    record = json.loads(STREAMING.to_json())
    for key in WINDOWED_KEYS:
        del record[key]
    assert len(WINDOWED_KEYS) == 7
    assert Spec.from_json(json.dumps(record)) == STREAMING


HAVE_DEFAULTS = {"precision", "opposition", *WINDOWED_KEYS}


@pytest.mark.parametrize("key", sorted({*json.loads(STREAMING.to_json())} - HAVE_DEFAULTS))
def test_a_missing_key_is_named(key: str) -> None:
    record = json.loads(STREAMING.to_json())
    del record[key]
    with pytest.raises(BundleError, match=key):
        Spec.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (["format"], 2, "format: found 2.*update Soloist"),
        (["format"], "1", "format: found '1'"),
        (["colour"], "blue", "unknown key 'colour'"),
        (["name"], " ", "name"),
        (["name"], 7, "name: found 7, expected text"),
        (["kind"], "batch", "found 'batch', expected streaming or windowed"),
        (["kind"], ["streaming"], "kind"),
        (["precision"], "int4", "found 'int4', expected fp32 or fp16 or int8"),
        (["opposition"], 1.5, "opposition: found 1.5, expected 0 to 1"),
        (["opposition"], "0.3", "opposition: found '0.3', expected a number"),
        (["residual"], 1, "residual: found 1, expected true or false"),
        (["sample_rate"], True, "sample_rate: found True, expected a whole number"),
        (["sample_rate"], 48e3, "sample_rate"),
        (["sample_rate"], 0, "sample_rate: found 0"),
        (["checkpoint_sha256"], DIGEST.upper(), "checkpoint_sha256"),
        (["training"], [], "training: found .*expected an object"),
        (["frames"], None, "frames: found None, expected an object"),
        (["frames", "hop"], 600, "hop 600"),
        (["frames", "analysis"], "boxcar", "unknown window 'boxcar'"),
        (["frames", "colour"], 1, "unknown key 'colour'"),
        (["queries"], [], "queries"),
        (["queries"], {}, "queries: found .*expected a list"),
        (["queries", 0, "name"], "", "query's name"),
        (["queries", 1, "name"], "dog", "names that all differ"),
        (["queries", 1, "encoder"], "clap", "one and the same encoder"),
        (["queries", 1, "positive"], [], "one word or more"),
        (
            ["queries", 0, "positive"],
            "dog",
            r"queries\[0\]: positive: found 'dog', expected a list",
        ),
        (["queries", 0, "negative"], [3], r"negative\[0\]: found 3, expected text"),
        (["queries", 0, "embedding_sha256"], "abc", "query 'dog': embedding_sha256"),
        (["latency_samples"], 255, "latency_samples: found 255, expected hop and overlap, 256"),
        (["parity"], {"snr_db": "high"}, "parity.snr_db: found 'high', expected a number"),
        (["window_frames"], 4, "window_frames: found 4, expected null"),
        (["fill"], "zeros", "fill: found 'zeros', expected null"),
        (["frames", "padding"], "reflect", "padding: found 'reflect', expected causal"),
    ],
)
def test_a_broken_value_is_named(path: list[Any], value: object, complaint: str) -> None:
    record = json.loads(STREAMING.to_json())
    *parents, last = path
    target = record
    for parent in parents:
        target = target[parent]
    target[last] = value
    with pytest.raises(BundleError, match=complaint):
        Spec.from_json(json.dumps(record))


def test_a_streaming_bundle_may_have_hann_windows() -> None:
    frames = Frames(1024, 256, "hann", "hann-istft")
    assert replace(STREAMING, frames=frames, latency_samples=1024).frames.overlap == 768


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"window_frames": None}, "window_frames: found None, expected a value"),
        ({"window_frames": 255}, "window_frames: found 255, expected 256"),
        ({"fill": "noise"}, "fill: found 'noise', expected zeros or repeat"),
        ({"frames": Frames(1024, 256, "hann", "hann-istft")}, "found padding 'causal'"),
        ({"window_samples": 1000}, "found window_samples 1000, expected at least 1024"),
        ({"emitted_frames": 249}, "found emitted_frames 249, expected 1 to 248"),
        ({"crossfade_frames": 40}, "found crossfade_frames 40, expected 0 to 39"),
        ({"lookahead_frames": -1}, "found lookahead_frames -1"),
        ({"advance_frames": 37}, "advance of 37 frames, expected 4 to 36"),
        ({"advance_frames": 3}, "advance of 3 frames, expected 4 to 36"),
        ({"latency_samples": 12032}, "latency_samples: found 12032, expected 11776"),
    ],
)
def test_windowed_values_must_fit(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BundleError, match=f"bundle spec: .*{complaint}"):
        replace(WINDOWED, **changes)


def test_a_schedule_is_the_bundles_own_or_chosen() -> None:
    own = WINDOWED.schedule()
    assert (own.advance, own.lookahead, own.compute, own.delay) == (16, 8, 16, 42)
    chosen = WINDOWED.schedule(advance=8, lookahead=20, compute=3)
    assert (chosen.advance, chosen.lookahead, chosen.compute, chosen.delay) == (8, 20, 3, 33)
    with pytest.raises(BundleError, match="is streaming, it has no windows"):
        STREAMING.schedule()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": NaN}'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="bundle spec"):
        Spec.from_json(text)


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_figures_that_json_cannot_say_are_refused_when_written(figure: float) -> None:
    with pytest.raises(BundleError, match=r"parity.snr_db"):
        replace(STREAMING, parity={"snr_db": figure})
    with pytest.raises(BundleError, match="training is not JSON"):
        replace(STREAMING, training={"loss": figure}).to_json()


@pytest.mark.parametrize(
    ("training", "wrong"),
    [
        ("[" * 100_000, "not JSON"),
        ("[" * 40 + "]" * 40, "more than 32 lists inside each other"),
        ('{"a": ' * 40 + "1" + "}" * 40, "more than 32 lists inside each other"),
        ("[" + "0," * 1_000_001 + "0]", "more than 1000000 values"),
        ("1" * 200, "beyond all numbers"),
        ("1e999", "1e999 is beyond all numbers"),
        ("-1e999", "-1e999 is beyond all numbers"),
        ("NaN", "NaN is not a JSON number"),
        (r'"\ud800"', "surrogates not allowed"),
        (r'{"\udfff": 1}', "surrogates not allowed"),
    ],
)
def test_json_made_to_harm(training: str, wrong: str) -> None:
    text = replace(STREAMING, training={}).to_json()
    text = text.replace('"training": {}', f'"training": {training}')
    assert training in text
    with pytest.raises(BundleError, match=wrong):
        Spec.from_json(text)


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("license", "\x1b]0;owned\x07", "letters on one line"),
        ("name", "solo\nsoloist: all is well", "letters on one line"),
        ("architecture", "a" * 1001, "up to 1000 letters"),
        ("sample_rate", 10**50, "1000 to 768000 Hertz"),
        ("sample_rate", 1, "1000 to 768000 Hertz"),
    ],
)
def test_values_made_to_harm(key: str, value: object, wrong: str) -> None:
    record = json.loads(STREAMING.to_json()) | {key: value}
    with pytest.raises(BundleError, match=wrong):
        Spec.from_json(json.dumps(record))


def test_more_queries_than_anybody_asks() -> None:
    many = tuple(replace(STREAMING.queries[0], name=str(n)) for n in range(257))
    with pytest.raises(BundleError, match="found 257, expected one query to 256"):
        replace(STREAMING, queries=many)


def test_frames_and_blocks_longer_than_any() -> None:
    with pytest.raises(BundleError, match="at most 65536 are transformed"):
        Frames(1 << 17, 128)
    with pytest.raises(BundleError, match="expected 16777216 at most"):
        replace(WINDOWED, window_samples=(1 << 24) + 1)
