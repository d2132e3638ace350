"""Gates evened out: every phrase of a class ends at its class's mean, the sound is left alone."""

import numpy as np
import torch

from soloist.separators.solo import Solo, SoloConfig
from soloist.training.gates import even_out, synonyms

NAMES = ("synonyms", "unlearnt_synonyms")
SMALL = SoloConfig(width=16, memory=8, blocks=1, patch_width=4, maps=8, embedding=32)


def test_phrases_end_at_the_mean_of_their_class_and_classes_stay_apart() -> None:
    torch.manual_seed(0)
    network = Solo(SMALL)
    trunk = {k: v.clone() for k, v in network.state_dict().items() if "conditioner" not in k}
    random = np.random.default_rng(1)
    classes = {"dog": ["a dog", "barking"], "rain": ["rain", "a shower", "drops"]}
    others = {"rain": ("drizzle",)}
    rows = random.normal(size=(6, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    phrases = [p for m in classes.values() for p in m] + ["drizzle"]
    embeddings = dict(zip(phrases, rows, strict=True))
    table = torch.from_numpy(rows)
    before = network.conditioner(table).detach()
    even_out(network, embeddings, classes, others, steps=200, batch=64)
    after = network.conditioner(table).detach()
    for learned, members in ((slice(0, 2), slice(0, 2)), (slice(2, 5), slice(2, 6))):
        mean = before[learned].mean(0)
        moved = (before[members] - mean).square().mean()
        assert (after[members] - mean).square().mean() < 0.1 * moved
    for name, value in trunk.items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=0, atol=0)


def test_synonyms_to_learn_and_to_try_out_are_different_ones() -> None:
    listed = [phrases for name in NAMES for phrases in synonyms(name).values()]
    phrases = [phrase.lower() for some in listed for phrase in some]
    assert all(phrase == phrase.strip() and phrase for phrase in phrases)
    assert len(phrases) == len(set(phrases))
    assert synonyms(NAMES[1]).keys() <= synonyms(NAMES[0]).keys()
