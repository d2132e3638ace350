"""The model that ships: it is there, it keeps its promises, and it separates."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soloist.runtime.bundle import Bundle, shipped
from soloist.runtime.queries import conditioning_for
from soloist.runtime.session import Session
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor
from soloist.training.metrics import si_sdr

ASSETS = Path(__file__).parents[2] / "app" / "assets"


@pytest.fixture(scope="module")
def solo() -> Bundle:
    assert "solo" in shipped()
    return Bundle.open("solo")


def test_it_keeps_what_the_design_promises(solo: Bundle) -> None:
    spec = solo.spec
    assert spec.sample_rate == 48_000
    assert 1000 * spec.latency_samples / spec.sample_rate == pytest.approx(5.33, abs=0.01)
    assert spec.precision == "int8"
    assert spec.parity["snr_db"] >= 35
    assert solo.path.stat().st_size < 17e6
    assert spec.license.startswith("MIT") and "Apache-2.0" in spec.license
    assert spec.training["manifest_sha256"]
    assert solo.card is not None
    assert "Figures" in solo.card


def test_it_knows_many_words_without_an_encoder(solo: Bundle) -> None:
    assert solo.vocabulary is not None
    assert len(solo.vocabulary.classes) >= 150
    words = ["an acoustic guitar", "a dog barking", "speech", "a woman speaking"]
    conditioning = conditioning_for(solo, words)
    assert conditioning.shape == (4, solo.conditioning_size)


def test_it_listens_for_all_of_its_sounds_but_seldom(solo: Bundle) -> None:
    assert solo.listener is not None and solo.vocabulary is not None
    hearing = solo.listener.hearing
    assert {*hearing.classes} == {*solo.vocabulary.classes}
    assert hearing.every_s >= 0.2 and hearing.budget_s < 0.05


def test_it_hears_what_is_in_the_demo(solo: Bundle) -> None:
    assert solo.listener is not None
    mixture, _ = soundfile.read(ASSETS / "mixture.flac", dtype="float32")
    size, classes = solo.listener.samples, solo.listener.hearing.classes
    windows = [mixture[start : start + size] for start in range(0, len(mixture) - size, size)]
    mean = np.mean([1 / (1 + np.exp(-solo.listener(each))) for each in windows], axis=0)
    nearest = [classes[index] for index in np.argsort(mean)[::-1][:4]]
    assert {"female_speech", "tabla"} <= {*nearest}


def test_it_separates_the_demo(solo: Bundle) -> None:
    mixture, rate = soundfile.read(ASSETS / "mixture.flac", dtype="float32", always_2d=True)
    target, _ = soundfile.read(ASSETS / "target.flac", dtype="float32")
    query = json.loads((ASSETS / "demo.json").read_text())["query"]
    session = Session(solo, device="cpu", conditioning=conditioning_for(solo, [query]))
    kept = separate_array(Processor(session), mixture, rate)
    gain = si_sdr(kept[:, 0], target) - si_sdr(mixture[:, 0], target)
    assert gain > 5
    removed = separate_array(Processor(session, mode="remove"), mixture, rate)
    np.testing.assert_allclose(kept + removed, mixture, atol=1e-5)
