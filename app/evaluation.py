"""Figures of a model over a list of mixtures: every mixture is streamed as live play would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..runtime.queries import are_baked, conditioning_for
from ..separators.encoders import load_encoder
from ..streaming.offline import separate_array
from ..streaming.processor import Processor
from ..training.metrics import attenuation, sdr, si_sdr
from ..training.mixture_list import RATE, Mixture, MixtureListError, read_mixtures, render


@dataclass(frozen=True)
class Score:
    """How one mixture went, in dB; the figures that its kind does not have are NaN."""

    mixture: Mixture
    si_sdr: float = np.nan
    si_sdri: float = np.nan
    sdr: float = np.nan
    sdri: float = np.nan
    attenuation: float = np.nan  # of a sound that is not there


def evaluate_model(
    bundle: Bundle,
    mixtures: Path,
    root: Path,
    device: str = "auto",
    trailing: int | None = None,
) -> Iterator[tuple[Score, float]]:
    """Score the list's mixtures one by one, each with the share of the list that is done.

    Clips are looked for under `root`. `trailing`: with trailing masks, in blocks of so many samples
    at the model's rate. Raises `SoloistError` for a list or a clip that cannot be
    used. All words are turned into conditionings first, so that an unknown one raises `QueryError`
    before the work begins.
    """
    try:
        listed = read_mixtures(mixtures)
        for done, score in enumerate(_scores(bundle, listed, root, device, trailing), start=1):
            yield score, done / len(listed)
    except MixtureListError as error:
        raise SoloistError(str(error)) from error


def _scores(
    bundle: Bundle, mixtures: Sequence[Mixture], root: Path, device: str, trailing: int | None
) -> Iterator[Score]:
    words = sorted({mixture.query for mixture in mixtures})
    baked = are_baked(bundle, words)
    rows = () if baked else conditioning_for(bundle, words, load=load_encoder)
    conditionings = {} if baked else dict(zip(words, rows, strict=True))
    first = None if baked else conditionings[words[0]][None]
    processor = Processor(bundle, device=device, conditioning=first, trailing=trailing is not None)
    for mixture in mixtures:
        if not baked:
            processor.set_conditioning(conditionings[mixture.query][None])
        mix, target = render(mixture, root)
        audio = mix[:, None].astype(np.float32)
        output = separate_array(processor, audio, RATE, block_size=trailing)[:, 0]
        yield _score(mixture, mix, target, output)
    processor.release()


def _score(
    mixture: Mixture,
    mix: NDArray[np.float64],
    target: NDArray[np.float64],
    output: NDArray[np.float32],
) -> Score:
    if mixture.target is None:
        return Score(mixture, attenuation=attenuation(mix, output))
    after, after_unscaled = si_sdr(output, target), sdr(output, target)
    return Score(
        mixture,
        si_sdr=after,
        si_sdri=after - si_sdr(mix, target),
        sdr=after_unscaled,
        sdri=after_unscaled - sdr(mix, target),
    )


def summary(scores: Sequence[Score]) -> dict[str, object]:
    """The report of `soloist evaluate --json`; a figure without mixtures behind it is NaN."""
    present = [score for score in scores if score.mixture.target is not None]
    absent = [score for score in scores if score.mixture.target is None]
    return {
        **_figures(present),
        "n": len(scores),
        "n_absent": len(absent),
        "sdr_mean": _mean(s.sdr for s in present),
        "absent_attenuation_db_mean": _mean(s.attenuation for s in absent),
        "by_class": _groups(present, lambda s: s.mixture.target_class),
        "by_query_kind": _groups(present, lambda s: s.mixture.query_kind),
        "by_n_sources": _groups(present, lambda s: str(s.mixture.n_sources)),
    }


def _groups(
    scores: Sequence[Score], key: Callable[[Score], str]
) -> dict[str, dict[str, int | float]]:
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(key(score), []).append(score)
    return {name: _figures(group) for name, group in sorted(groups.items())}


def _figures(scores: Sequence[Score]) -> dict[str, int | float]:
    improvements = [score.si_sdri for score in scores]
    return {
        "n": len(scores),
        "si_sdr_mean": _mean(s.si_sdr for s in scores),
        "si_sdri_mean": _mean(improvements),
        "si_sdri_median": float(np.median(improvements)) if improvements else np.nan,
        "sdri_mean": _mean(s.sdri for s in scores),
    }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else np.nan
