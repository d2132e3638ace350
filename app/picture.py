"""A picture of sounds: spectrograms one below the other, on one scale of time, pitch and level.

Drawn with Pillow: the plain install has it, and it needs no set-up on its first run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..runtime.replacing import replacing

WINDOW = 4096  # samples: 85 ms at 48 kHz, fine enough to tell the partials of a voice apart
RANGE_DB = 80.0  # below the loudest spot of all panels; quieter is black
LOWEST_HZ = 60.0

# Layout in pixels: panels of PANEL_W by PANEL_H with the axes' labels around them.
PANEL_W, PANEL_H, GAP = 1280, 250, 56
LEFT, RIGHT, TOP, BOTTOM = 96, 132, 122, 76
BAR_W = 18

BACKGROUND, TEXT, FAINT = "#14151c", "#f1eff4", "#9a97a6"
# Every eighth of matplotlib's magma (van der Walt & Smith, CC0): evenly brighter with level.
MAGMA = "000004 1c1044 4f127b 812581 b5367a e55964 fb8761 fec287 fcfdbf"

Levels = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One spectrogram: its title and a mono signal (samples,)."""

    title: str
    signal: NDArray[np.float32]


def draw(path: Path, panels: Sequence[Panel], sample_rate: int, title: str, subtitle: str) -> None:
    """Write the picture of `panels`, signals of equal length at `sample_rate` Hz, as PNG.

    Whole or not at all; `SoloistError` if it cannot be written.
    """
    levels = [_spectrogram(panel.signal, sample_rate) for panel in panels]
    loudest = max(float(level.max()) for level in levels)
    size = (LEFT + PANEL_W + RIGHT, TOP + len(panels) * (PANEL_H + GAP) - GAP + BOTTOM)
    image = Image.new("RGB", size, BACKGROUND)
    canvas = ImageDraw.Draw(image)
    canvas.text((LEFT, 22), title, TEXT, _font(30))
    canvas.text((LEFT, 62), subtitle, FAINT, _font(18))
    seconds = len(panels[0].signal) / sample_rate
    for row, (panel, level) in enumerate(zip(panels, levels, strict=True)):
        top = TOP + row * (PANEL_H + GAP)
        canvas.text((LEFT, top - 10), panel.title, TEXT, _font(20), anchor="ls")
        image.paste(_colours(level - loudest), (LEFT, top))
        _frequency_axis(canvas, top, sample_rate)
    bottom = TOP + len(panels) * (PANEL_H + GAP) - GAP
    _time_axis(canvas, bottom, seconds)
    _colour_bar(image, canvas, TOP, bottom)
    with replacing(path) as part:
        image.save(part, format="PNG")


def _spectrogram(signal: NDArray[np.float32], sample_rate: int) -> Levels:
    """Levels in dB on the panel's pixels, [PANEL_H, PANEL_W], highest pitch first."""
    centres = np.linspace(0, len(signal), PANEL_W).astype(int)
    padded = np.pad(signal.astype(np.float64), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[centres]
    spectra = np.fft.rfft(frames * np.hanning(WINDOW))
    energy = np.cumsum(np.abs(spectra) ** 2, axis=1)
    # Every row shows the mean power between its two edges on a logarithmic scale of pitch; the
    # running sum serves rows that span many bins and rows that share one alike.
    edges = _rows_to_hz(np.arange(PANEL_H + 1), sample_rate) * WINDOW / sample_rate
    bins = np.arange(energy.shape[1])
    below = np.stack([np.interp(edges, bins, column) for column in energy], axis=1)
    power = (below[:-1] - below[1:]) / (edges[:-1] - edges[1:])[:, None]
    level: Levels = 10 * np.log10(np.maximum(power, 1e-12))
    return level


def _rows_to_hz(rows: NDArray[np.int_], sample_rate: int) -> Levels:
    highest = sample_rate / 2
    hertz: Levels = highest * (LOWEST_HZ / highest) ** (rows / PANEL_H)
    return hertz


def _colours(level: Levels) -> Image.Image:
    """An image of levels in dB from -RANGE_DB to 0."""
    steps = np.clip((level / RANGE_DB + 1) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(_magma()[steps])


@cache
def _magma() -> NDArray[np.uint8]:
    anchors = np.array([list(bytes.fromhex(colour)) for colour in MAGMA.split()])
    at = np.linspace(0, len(anchors) - 1, 256)
    ramp = [np.interp(at, np.arange(len(anchors)), channel) for channel in anchors.T]
    return np.stack(ramp, axis=1).round().astype(np.uint8)


def _frequency_axis(canvas: ImageDraw.ImageDraw, top: int, sample_rate: int) -> None:
    highest = sample_rate / 2
    for hertz in (100, 200, 500, 1000, 2000, 5000, 10000, 20000):
        if not LOWEST_HZ <= hertz <= highest:
            continue
        y = top + PANEL_H * np.log(hertz / highest) / np.log(LOWEST_HZ / highest)
        label = f"{hertz // 1000} kHz" if hertz >= 1000 else f"{hertz} Hz"
        canvas.line([(LEFT - 7, y), (LEFT - 1, y)], FAINT)
        canvas.text((LEFT - 12, y), label, FAINT, _font(15), anchor="rm")


def _time_axis(canvas: ImageDraw.ImageDraw, bottom: int, seconds: float) -> None:
    # One label a second, or as many seconds apart as leaves a dozen of them.
    step = max(1, round(seconds / 12))
    for second in range(0, int(seconds) + 1, step):
        x = LEFT + (PANEL_W - 1) * second / seconds
        canvas.line([(x, bottom + 1), (x, bottom + 7)], FAINT)
        canvas.text((x, bottom + 12), f"{second} s", FAINT, _font(15), anchor="ma")


def _colour_bar(image: Image.Image, canvas: ImageDraw.ImageDraw, top: int, bottom: int) -> None:
    x = LEFT + PANEL_W + 28
    ramp = np.linspace(0, -RANGE_DB, bottom - top)
    image.paste(_colours(np.repeat(ramp[:, None], BAR_W, axis=1)), (x, top))
    for decibels in range(0, -int(RANGE_DB) - 1, -20):
        y = top - (bottom - top - 1) * decibels / RANGE_DB
        canvas.text((x + BAR_W + 8, y), f"{decibels} dB", FAINT, _font(15), anchor="lm")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    load: Callable[..., ImageFont.FreeTypeFont | ImageFont.ImageFont] = ImageFont.load_default
    return load(size)
