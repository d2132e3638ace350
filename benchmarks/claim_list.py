"""What is claimed of recipes and data, by papers or by us, as a few runs that can be compared.

A new claim is an entry of `CLAIMS`; `benchmarks.claims` trains, scores and prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Any]
"""As in a recipe's file of settings: keys, and tables of keys."""


def merged(*several: Settings) -> dict[str, Any]:
    """Settings one over the other, tables key by key."""
    result: dict[str, Any] = {}
    for settings in several:
        for key, value in settings.items():
            table = isinstance(value, Mapping)
            result[key] = {**result.get(key, {}), **value} if table else value
    return result


@dataclass(frozen=True)
class Variant:
    """One row of a claim's table.

    Attributes:
        recipe: as in ``soloist train NAME``.
        settings: what differs from the claim's. Data, seed and scoring are given by the program.
        figure: which of the recipe's figures counts. Variants of the same recipe and settings are
            trained once, so that one network can be scored in several ways.
        needs: settings that are the path of a checkpoint, such as ``queries.clap``, and the run
            that makes it, with the same seed. Of its settings all are its own.
        rendered: clips to learn from beside the recordings, by `training.rendering`: instruments
            and voices of the classes that it knows.
    """

    recipe: str
    settings: Settings = field(default_factory=dict)
    figure: str = "si_sdri_mean"
    needs: Mapping[str, Variant] = field(default_factory=dict)
    rendered: int = 0


@dataclass(frozen=True)
class Claim:
    """What a paper says, or we do.

    Attributes:
        says: in a sentence, with the source.
        settings: of all variants.
        variants: by name, the worst first as the paper has it.
        noise: classes that nobody asks for; a recording of one is in each mixture to test on.
        classes: those to learn and to test; none: one of each category.
        places: groups of the classes; mixtures to test on are of two of one group. None: of any.
        each: mixtures of each pair of classes, the two in either order.
        whole: all recordings are learned from, tested on DATA's own dev_mixtures.csv.
    """

    says: str
    settings: Settings
    variants: Mapping[str, Variant]
    noise: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    places: tuple[tuple[str, ...], ...] = ()
    each: int = 1
    whole: bool = False


_SHORT_RUN: Settings = {
    "steps": 800,
    "warm_up": 20,
    "cool_down": 200,
    "check": 200,
    "batch": 8,
    "rate": 3e-3,
    "average": 0.99,  # of a run a tenth as long as usual
    "workers": 0,
}
_HTSAT = Variant(
    "clap-htsat",
    {
        **_SHORT_RUN,
        "steps": 80,
        "cool_down": 30,
        "check": 40,
        "batch": 16,
        "rate": 1e-3,
        "average": 0.95,
        "network": {"width": 32, "depths": [2, 2, 2]},
    },
)
_MINI = Variant(
    "clap-mini",
    {
        **_SHORT_RUN,
        "batch": 16,
        "network": {"width": 16, "embedding": 64, "seconds": 1.0},
        "mixing": {"singles": 0.5, "phrases": "class"},
    },
)
# What a separator may lean on: it hears what is loud in a mixture behind masks that please it, too.
_TEACHER = Variant(
    "clap-mini",
    {
        **_MINI.settings,
        "steps": 3000,
        "cool_down": 1000,
        "check": 1000,
        "targets": "shares",
        "masked": 0.9,
        "led": True,
        "mixing": {"singles": 0.05, "quieter_db": 20.0, "phrases": "class"},
    },
)
_SMALL_SOLO: Settings = {
    **_SHORT_RUN,
    "steps": 300,
    "cool_down": 100,
    "check": 100,
    "seconds": 2.0,
    "rate": 2e-3,
    "network": {"patch_width": 16, "width": 96, "memory": 96, "blocks": 2, "maps": 32},
    "scenes": {"sounds": 2},
}
_NOISE = ("engine", "thunder")
_WATER = ("rain", "splash")  # which no instrument sounds like
_POLLUTED: Settings = {
    **_SMALL_SOLO,
    "scenes": {
        "sounds": 2,
        "pollution": 0.75,
        "pollution_db": 5.0,
        "noise": _NOISE,
    },
}
_VOICE_AND_INSTRUMENTS = (
    "acoustic_guitar",
    "clarinet",
    "double_bass",
    "female_speech",
    "flute",
    "piano",
    "saxophone",
)
_WET_SOLO: Settings = {
    **_SMALL_SOLO,
    "check": 200,
    "scenes": {"sounds": 2, "pollution": 0.5, "pollution_db": 5.0, "noise": _WATER},
}
# In the order of the alphabet: a claim must not depend on which classes happen to meet.
_PLACES = (_VOICE_AND_INSTRUMENTS[:3], _VOICE_AND_INSTRUMENTS[3:])
_SMALL_UNET: Settings = {"maps": 8, "levels": 5, "base": 8, "frames": 32, "gates": 1.0}
_WEAK: Settings = {
    **_SHORT_RUN,
    "steps": 400,
    "cool_down": 100,
    "check": 100,
    "rate": 1e-3,
    "network": {**_SMALL_UNET, "attending": 2, "frames": 64},
    "mixing": {"phrases": "class"},
}
_TOGETHER: Settings = {**_WEAK, "mixing": {"phrases": "class", "together": _PLACES}}
_RECONSTRUCTED: Settings = {"losses": "reconstruction"}
_SINGLES: Settings = {**_RECONSTRUCTED, "mixing": {"singles": 1.0, "together": []}}
# Weak supervision, and what it lies between, begin with one of these.
_UNSUPERVISED = Variant("weak", {**_WEAK, **_RECONSTRUCTED})
_FROM_PLACES = Variant("weak", {**_TOGETHER, **_RECONSTRUCTED})


def _weak(start: Variant, clap: Variant) -> dict[str, Variant]:
    """Weak supervision by a joint model, and what it lies between."""
    begun = {"start": start}
    return {
        "unsupervised": Variant("weak", _RECONSTRUCTED, needs=begun),
        "weak": Variant("weak", needs={**begun, "clap": clap}),
        "supervised": Variant("weak", _SINGLES, needs=begun),
    }


def _further(common: Settings, row: Variant, settings: Settings) -> Variant:
    """Another 400 steps from where a row of a claim ends, whose settings these common ones are."""
    start = Variant(row.recipe, merged(common, row.settings), needs=row.needs)
    return Variant(row.recipe, {**settings, "steps": 400, "check": 100}, needs={"start": start})


_REMIXED: Settings = {"losses": "remixed"}
_TAUGHT: Settings = {**_TOGETHER, "steps": 800, "cool_down": 200, "check": 200}
# Any classes meet, or those of one place.
_MEETING, _PLACED = _weak(_UNSUPERVISED, _TEACHER), _weak(_FROM_PLACES, _TEACHER)
_UNET_RUN: Settings = {
    **_SHORT_RUN,
    "steps": 2000,
    "cool_down": 400,
    "rate": 1e-3,
    "network": {**_SMALL_UNET, "base": 16},
}
_POLLUTED_UNET: Settings = {
    **_UNET_RUN,
    "mixing": {"pollution": 0.5, "pollution_db": 5.0},
}
# What both sides of noise invariance begin with.
_PLAIN_UNET, _PLAIN_SOLO = Variant("clipsep", _POLLUTED_UNET), Variant("solo", _POLLUTED)
_BY_SOUND: Settings = {**_POLLUTED_UNET, "queries": {"mode": "sound"}}
_PLAIN_BY_SOUND = Variant("clipsep", _BY_SOUND, needs={"queries.clap": _MINI})


def _long(steps: int) -> Settings:
    """A run whose rate falls in its last quarter, scored in its middle and at its end."""
    return {"steps": steps, "cool_down": steps // 4, "check": steps // 2}


def _beside(noise: tuple[str, ...], says: str) -> Claim:
    """Noise invariance where these classes pollute, and nobody asks for them."""
    mixing = {"pollution": 0.5, "pollution_db": 5.0, "noise": noise}
    settings: Settings = {**_UNET_RUN, "mixing": mixing}
    plain = Variant("clipsep", settings)
    return Claim(
        says,
        {**settings, "steps": 1000},
        {name: Variant(name, needs={"start": plain}) for name in ("clipsep", "clipsep-nit")},
        noise=noise,
        classes=(*_VOICE_AND_INSTRUMENTS, *noise),
        each=2,
    )


CLAIMS: dict[str, Claim] = {
    "nit": Claim(
        "CLIPSep-NIT beats CLIPSep where clips to learn from hold sounds that nobody asked for, "
        "and the mixtures at test do not (Dong et al., ICLR 2023); both go on from one plain run",
        {**_POLLUTED_UNET, "steps": 1000},
        {
            "clipsep": Variant("clipsep", needs={"start": _PLAIN_UNET}),
            "clipsep-nit": Variant("clipsep-nit", needs={"start": _PLAIN_UNET}),
        },
    ),
    "nit-words": Claim(
        "The same where networks learn by one kind of query and are asked by another, as in the "
        "paper's tables, where pictures teach and words ask: here sounds teach, by clap-mini",
        {**_BY_SOUND, "steps": 1000},
        {
            name: Variant(name, needs={"queries.clap": _MINI, "start": _PLAIN_BY_SOUND})
            for name in ("clipsep", "clipsep-nit")
        },
        each=3,
    ),
    "nit-noise": _beside(
        _NOISE,
        "The same where what pollutes is never asked for, and is in each mixture to test on, too; "
        "of a voice and instruments, which networks as small as these know when they hear new ones",
    ),
    "nit-water": _beside(
        _WATER,
        "The same where the noise is that of water, which no instrument sounds like",
    ),
    "asked": Claim(
        "A network asked by words comes close to one asked by numbers of classes, and to one that "
        "nobody asks, of whose two sounds the better one counts (Dong et al., ICLR 2023)",
        _UNET_RUN,
        {"labelsep": Variant("labelsep"), "clipsep": Variant("clipsep"), "pit": Variant("pit")},
    ),
    "solo-nit": Claim(
        "the same of our causal network, where two classes are noise and never asked for, in three "
        "of four clips to learn from and in all mixtures to test on; both go on from one plain run",
        _POLLUTED,
        {
            "solo": Variant("solo", needs={"start": _PLAIN_SOLO}),
            "solo-nit": Variant("solo-nit", needs={"start": _PLAIN_SOLO}),
        },
        noise=_NOISE,
    ),
    "solo-nit-water": Claim(
        "the same of `nit-water`'s sounds and noise",
        {**_WET_SOLO, "steps": 400},
        {
            name: Variant(name, needs={"start": Variant("solo", {**_WET_SOLO, "steps": 600})})
            for name in ("solo", "solo-nit")
        },
        noise=_WATER,
        classes=(*_VOICE_AND_INSTRUMENTS, *_WATER),
        each=2,
    ),
    "weak": Claim(
        "from mixtures of two alone, weak supervision comes close to supervision with single "
        "sounds, far above mix-and-separate of those mixtures (Mahmud et al., ICLR 2024); here it "
        "leans on clap-mini, which has learned what is loud in mixtures behind masks that its own "
        "gradient had moved; all go on from one unsupervised run, and once more from where they "
        "end: what is found in mixtures is remixed and learned from, ours, or supervision goes on",
        _WEAK,
        {
            **_MEETING,
            "unsupervised, remixed": _further(_WEAK, _MEETING["unsupervised"], _REMIXED),
            "weak, remixed": _further(_WEAK, _MEETING["weak"], _REMIXED),
            "supervised, as long": _further(_WEAK, _MEETING["supervised"], _SINGLES),
        },
        classes=_VOICE_AND_INSTRUMENTS,
        each=2,
    ),
    "weak-together": Claim(
        "the same where sounds come together as in recordings of places, three instruments in one "
        "and a voice and three more in another, so that nothing but the joint model tells those "
        "of one place apart, or single sounds in one example of twenty besides; tested within "
        "places; the joint model has learned to name single sounds",
        {**_TOGETHER, "steps": 200},
        {
            **_weak(_FROM_PLACES, _MINI),
            "semi": Variant("semi", needs={"start": _FROM_PLACES, "clap": _MINI}),
        },
        classes=_VOICE_AND_INSTRUMENTS,
        places=_PLACES,
        each=3,
    ),
    "weak-taught": Claim(
        "the same for four times as long, by the joint model of `weak`; what weak supervision "
        "finds in mixtures is then remixed and learned from, ours",
        _TAUGHT,
        {
            **_PLACED,
            "weak, remixed": _further(_TAUGHT, _PLACED["weak"], _REMIXED),
        },
        classes=_VOICE_AND_INSTRUMENTS,
        places=_PLACES,
        each=3,
    ),
    "causal": Claim(
        "our causal network comes within 1.5 dB of CLIPSep's offline U-Net, which has learnt from "
        "the same recordings for as long; ours",
        _SHORT_RUN,
        {
            "clipsep, offline": Variant("clipsep", _UNET_RUN),
            "solo, causal": Variant("solo", {**_SMALL_SOLO, "steps": 600, "cool_down": 200}),
        },
    ),
    "causal-whole": Claim(
        "the same of all recordings of all classes, for longer, where the U-Net has as many maps "
        "as ours and hears a second",
        _SHORT_RUN,
        {
            "clipsep, offline": Variant(
                "clipsep",
                {
                    **_UNET_RUN,
                    **_long(4400),
                    "network": {**_SMALL_UNET, "base": 16, "maps": 32, "frames": 64},
                },
            ),
            "solo, causal": Variant("solo", {**_SMALL_SOLO, **_long(2400)}),
        },
        whole=True,
    ),
    "causal-full": Claim(
        "the same of networks of full size, the published U-Net and the one that ships, where the "
        "U-Net hears two seconds",
        _SHORT_RUN,
        {
            "clipsep, offline": Variant(
                "clipsep",
                {**_UNET_RUN, **_long(1000), "network": {"gates": 1.0, "frames": 128}},
            ),
            "solo, causal": Variant("solo", {**_SMALL_SOLO, **_long(2600), "network": {}}),
        },
        whole=True,
    ),
    "data": Claim(
        "what is made without end helps beside a few recordings, on recordings never heard: rooms "
        "by simulation, instruments by a soundfont, voices by a synthesiser, noise of many shapes; "
        "ours, of the causal network",
        {**_SMALL_SOLO, "steps": 900, "cool_down": 300, "check": 150},
        {
            "recordings": Variant("solo"),
            "in rooms": Variant("solo", {"scenes": {"rooms": 0.3}}),
            "and rendered ones": Variant("solo", rendered=210),
            "before noise": Variant("solo", {"scenes": {"hiss": 0.3}}),
        },
        classes=_VOICE_AND_INSTRUMENTS,
    ),
    "clapsep": Claim(
        "CLAPSep that is told what is wanted and what is not beats the same network told what is "
        "wanted (Ma et al. 2024)",
        {
            **_SHORT_RUN,
            "steps": 150,
            "cool_down": 50,
            "check": 50,
            "rate": 1e-3,
            "average": 0.98,
            "network": {"width": 128, "layers": 1},
        },
        {
            "wanted": Variant("clapsep", figure="positive_si_sdri_mean", needs={"clap": _HTSAT}),
            "wanted and not": Variant("clapsep", needs={"clap": _HTSAT}),
        },
    ),
}
"""By name, as in `python -m soloist.benchmarks.claims NAME`."""
