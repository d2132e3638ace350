"""Rooms that a sound may be heard in: random responses, as statistics describe real ones.

Polack's model (1988): what follows the direct sound is noise that decays exponentially, faster in
the treble. Before it, a few single reflections.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, oaconvolve

Samples = NDArray[np.float32]

_DECAY_S = (0.1, 0.8)  # time in which a room's sound falls by 60 dB
_TREBLE = (0.3, 0.8)  # the same in the treble, a part of that
_DIRECT_DB = (0.0, 15.0)  # direct sound over all that follows
_GAP_S = (0.002, 0.03)  # until the first reflection
_EARLY = 6


def room_response(sample_rate: int, random: np.random.Generator) -> Samples:
    """A response that begins with the direct sound, 1.0; ``(samples,)``, as long as it decays."""
    decay = random.uniform(*_DECAY_S)
    length = int(decay * sample_rate)
    time = np.arange(length) / sample_rate
    noise = random.standard_normal((2, length))
    # a one-pole low-pass at about 1.5 kHz and what it leaves: bass and treble
    pole = np.exp(-2 * np.pi * 1500 / sample_rate)
    bass = lfilter([1 - pole], [1, -pole], noise[0])
    treble = noise[1] - lfilter([1 - pole], [1, -pole], noise[1])
    fall = 6.9 / decay  # ln 1000: 60 dB
    tail = bass / bass.std() * np.exp(-fall * time)
    tail += treble / treble.std() * np.exp(-fall * time / random.uniform(*_TREBLE))
    gap = int(random.uniform(*_GAP_S) * sample_rate)
    tail[:gap] = 0.0
    places = gap + random.integers(0, max(1, int(0.05 * sample_rate)), _EARLY)
    places = places[places < length]
    tail[places] += 4 * random.uniform(-1, 1, len(places))
    ratio = 10 ** (-random.uniform(*_DIRECT_DB) / 20)
    response = ratio * tail / np.sqrt(np.square(tail).sum() + 1e-12)
    response[0] = 1.0
    return np.asarray(response, np.float32)


def in_a_room(sound: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
    """A sound ``(samples,)`` and its reverberation, cut to its own length."""
    wet = oaconvolve(sound, room_response(sample_rate, random))[: len(sound)]
    return np.asarray(wet, np.float32)
