"""Quality beside speed: what a setting gains on the recordings that come with Soloist."""

from __future__ import annotations

import numpy as np

from ...benchmarks.settings import Setting, open_processor
from ...runtime.bundle import Bundle
from ...runtime.errors import SoloistError
from ...runtime.queries import conditioning_for
from ...streaming.offline import separate_array
from ...training.metrics import si_sdr
from .. import demo

# What has no part in the samples that come out. Of more queries each one's stem is the same.
_SILENT = {"threads": 1, "block": None, "queries": 1, "streams": 1, "channels": 1}


class Quality:
    """Mean SI-SDRi in dB of settings on the bundled mixtures; the same samples share one figure."""

    def __init__(self) -> None:
        names = sorted(file.stem for file in demo.ASSETS.glob("*.json"))
        self._scenes = [demo.load_scene(name) for name in names]
        self._known: dict[tuple[str, str], float | None] = {}

    def gain(self, bundle: Bundle, setting: Setting) -> float | None:
        """None for a model that has no words for what is heard there."""
        facts = {**setting.of(bundle).facts(), **_SILENT}
        key = (str(bundle.path), str(facts))
        if key not in self._known:
            self._known[key] = self._play(bundle, Setting(**facts))
        return self._known[key]

    def _play(self, bundle: Bundle, setting: Setting) -> float | None:
        try:
            words = conditioning_for(bundle, [scene.query for scene in self._scenes])
        except SoloistError:
            return None
        processor = open_processor(bundle, setting, words[:1])
        gains = []
        for scene, row in zip(self._scenes, words, strict=True):
            processor.set_conditioning(row[None])
            heard = separate_array(processor, scene.mixture[:, None], scene.sample_rate)[:, 0]
            before = si_sdr(scene.mixture, scene.target)
            gains.append(si_sdr(heard, scene.target) - before)
        return float(np.mean(gains))
