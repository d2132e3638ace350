"""What CLAPSep's encoder hears, from the spectrogram that its masks are for.

CLAPSep separates at 32 kHz (frames of 1024 samples every 320), its encoder hears 48 kHz (1024 every
480). The published code resamples the audio and transforms it a second time. Both have a frame each
10 ms, centred on the same instant, and the encoder's is the shorter one: 683 samples of 32 kHz, and
6 on either side for resampling, all within the 1024 of the frame of 32 kHz, whose window is well
above zero there. Windowing, transform and resampling are linear, so the encoder's spectrum of a
frame is a matrix times that frame's spectrum of 32 kHz: exact, with no audio in between. Frames
whose samples reach beyond the block's ends, where the resampler sees silence and the encoder a
mirror image, have matrices of their own.

As everything is symmetric about a frame's centre, the real part of the one makes the real part of
the other, the imaginary part the imaginary: two real matrices for all frames within the block.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .clap_audio import mel_bands
from .spectrogram import Spectrogram

_N_FFT = 1024  # at either rate
_HALF = _N_FFT // 2
_HOP = 480  # of the encoder's frames
_ROLLOFF = 0.99  # of the resampler's cutoff, as a share of half the lower rate
_ZEROS = 6  # of the sinc, on either side
_POWER_FLOOR = 1e-10


class LogMel(nn.Module):
    """Spectrograms of blocks at 32 kHz to log-mel spectrograms at 48 kHz.

    Args:
        front: the transform of 32 kHz: n_fft 1024, hop 320, mirrored; blocks of ``front.clip``.
        frames: that the encoder hears.
    """

    inner: Tensor
    border: Tensor
    bands: Tensor

    def __init__(self, front: Spectrogram, frames: int) -> None:
        super().__init__()
        self.frames = frames
        used = mel_bands().any(1).nonzero()[:, 0]
        reach = _to_encoder(front, front.frames // 2, used)
        inner = torch.stack([reach[0, :, 0], reach[1, :, 1]])
        ends = [k for k in range(front.frames) if _is_border(front, k)]
        border = torch.stack([_to_encoder(front, k, used) for k in ends])
        self.before = sum(k < front.frames // 2 for k in ends)
        self.after = len(ends) - self.before
        self.register_buffer("inner", inner.float(), persistent=False)
        self.register_buffer("border", border.flatten(3).flatten(1, 2).float(), persistent=False)
        self.register_buffer("bands", mel_bands()[used].T.contiguous(), persistent=False)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Turns ``(batch, 513, frames, 2)`` into ``(batch, 64, frames)`` dB, -100 beyond."""
        last = spectrogram.shape[2] - self.after
        real, imaginary = spectrogram[:, :, self.before : last].unbind(-1)
        inner = (self.inner[0] @ real).square() + (self.inner[1] @ imaginary).square()
        ends = torch.cat([spectrogram[:, :, : self.before], spectrogram[:, :, last:]], dim=2)
        made = self.border @ ends.permute(0, 2, 3, 1).flatten(2)[..., None]
        outer = made[..., 0].unflatten(2, (2, -1)).square().sum(2).transpose(1, 2)
        power = torch.cat([outer[..., : self.before], inner, outer[..., self.before :]], dim=2)
        mel = functional.pad(self.bands @ power, (0, self.frames - power.shape[2]))
        return 10 * torch.log10(mel.clamp(min=_POWER_FLOOR))


def resampling(place: Tensor) -> Tensor:
    """The resampler's impulse response, so many samples of 32 kHz away; float64.

    A windowed sinc, as ``torchaudio.transforms.Resample`` has it by default.
    """
    t = (_ROLLOFF * place.double()).clamp(-_ZEROS, _ZEROS)
    return _ROLLOFF * torch.sinc(t) * torch.cos(math.pi * t / (2 * _ZEROS)).square()


def _is_border(front: Spectrogram, frame: int) -> bool:
    """Whether a frame of the encoder hears anything but the block's own samples."""
    reach = 2 * _HALF / 3 + _ZEROS / _ROLLOFF
    centre = frame * front.hop
    return centre < reach or centre + reach >= front.clip


def _to_encoder(front: Spectrogram, frame: int, used: Tensor) -> Tensor:
    """Matrix from a frame's spectrum at 32 kHz to its spectrum at 48 kHz; float64.

    Args:
        front, frame: which.
        used: bins of 48 kHz.

    Returns:
        ``(2, used, 2, 513)`` from real and imaginary part to real and imaginary part, the latter
        with their phases counted from the frame's centre.
    """
    local = torch.arange(-_HALF, _HALF)
    window = torch.hann_window(_N_FFT, dtype=torch.float64)
    inside = torch.eye(front.bins, dtype=torch.float64)
    from_real = torch.fft.irfft(torch.complex(inside, 0 * inside), n=_N_FFT)
    from_imaginary = torch.fft.irfft(torch.complex(0 * inside, inside), n=_N_FFT)
    samples = torch.stack([from_real, from_imaginary]) / window.clamp(min=1e-30)

    heard = _HOP * frame + local  # samples of 48 kHz, mirrored at the ends of the block
    last = math.ceil(front.clip * 3 / 2) - 1
    heard = last - (last - heard.abs()).abs()
    given = front.hop * frame + local
    weights = resampling(given - heard.double()[:, None] * 2 / 3)
    weights[:, (given < 0) | (given >= front.clip)] = 0
    # where the resampler reads nothing the window may be zero
    frames = torch.where(weights.any(0), samples, 0.0) @ weights.T * window

    turns = -2 * math.pi * used.double()[:, None] * local / _N_FFT
    made = torch.stack([torch.cos(turns), torch.sin(turns)])
    return torch.einsum("pbs,cus->cupb", frames, made)
