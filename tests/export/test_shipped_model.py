"""The shipped bundle is the checkpoint in the repository, and plays what the network computes."""

import json
from pathlib import Path

import numpy as np
import soundfile
import torch

from soloist.runtime.bundle import Bundle
from soloist.runtime.queries import conditioning_for
from soloist.runtime.session import Session
from soloist.separators.checkpoints import load_solo
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

ROOT = Path(__file__).parents[2]


@torch.no_grad()
def test_the_stream_equals_the_network_over_the_whole_file() -> None:
    trained, bundle = load_solo(ROOT / "training/checkpoints/solo.pt"), Bundle.open("solo")
    assert bundle.spec.checkpoint_sha256 == trained.sha256
    assets = ROOT / "app" / "assets"
    audio, rate = soundfile.read(assets / "mixture.flac", dtype="float32")
    query = json.loads((assets / "demo.json").read_text())["query"]
    words = conditioning_for(bundle, [query, "a dog barking"])

    network, front = trained.network, trained.network.config.frontend
    padded = torch.from_numpy(np.pad(audio, (0, 2 * front.hop)))
    spectrum = torch.view_as_real(front.analyse(padded))[None]
    stems, _ = network(spectrum, torch.from_numpy(words), network.initial_state(1))
    expected = front.synthesise(torch.view_as_complex(stems[0]))[:, : len(audio)].numpy()

    session = Session(bundle, device="cpu", conditioning=words)
    processor = Processor(session, outputs="stems")
    found = separate_array(processor, audio[:, None], rate, block_size=128)
    np.testing.assert_allclose(found[:2, :, 0], expected, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=0)[:, 0], audio, atol=1e-5)
