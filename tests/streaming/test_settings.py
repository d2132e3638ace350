import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Spec
from soloist.streaming.parameters import SILENT_DB, mixer_parameters
from soloist.streaming.processor import Processor
from soloist.streaming.settings import Settings

PARAMETERS = mixer_parameters(2)
GAINS = st.floats(SILENT_DB, 12.0)
SWITCHES = st.booleans()


def brute_force(settings: Settings, stems: int) -> tuple[list[float], float]:
    """What comes out for one stem alone, and for input of which no stem holds anything."""
    at = settings.values
    names = [*(f"stem{n + 1}" for n in range(stems)), "residual"]
    gains = {}
    for name in names:
        level = at[f"{name}.gain"]
        gain = 0.0 if level <= -80 else 10 ** (level / 20)
        heard = not at[f"{name}.mute"] and (
            at[f"{name}.solo"] or not any(at[f"{other}.solo"] for other in names)
        )
        gains[name] = gain if heard else 0.0
    wet = 0.0 if at["bypass"] else at["wet"] / 100
    return [wet * gains[n] + 1 - wet for n in names[:-1]], wet * gains["residual"] + 1 - wet


@given(
    st.lists(GAINS, min_size=3, max_size=3),
    st.lists(SWITCHES, min_size=7, max_size=7),
    st.floats(0, 100),
)
def test_weights_are_what_gain_mute_solo_wet_and_bypass_mean(
    gains: list[float], switches: list[bool], wet: float
) -> None:
    settings = Settings(2)
    names = ["stem1", "stem2", "residual"]
    values: dict[str, float] = {"wet": wet, "bypass": float(switches[6])}
    for index, name in enumerate(names):
        values[f"{name}.gain"] = gains[index]
        values[f"{name}.mute"], values[f"{name}.solo"] = switches[index], switches[3 + index]
    settings.update(values)
    stems, rest = brute_force(settings, 2)
    # A stem S is part of the input: it comes out by its own weight and by the input's.
    found = [weight + settings.weights.dry for weight in settings.weights.stems]
    assert found == pytest.approx(stems, abs=1e-9)
    assert settings.weights.dry == pytest.approx(rest, abs=1e-9)


def test_parameters_are_named_and_ordered() -> None:
    assert [parameter.id for parameter in PARAMETERS] == [
        *(f"{name}.{what}" for name in ("stem1", "stem2", "residual") for what in KINDS),
        "wet",
        "bypass",
        "limiter",
        "ceiling",
    ]


KINDS = ("gain", "mute", "solo")


@given(st.sampled_from(PARAMETERS), st.floats(0, 1))
def test_a_text_says_its_value(parameter_of: object, share: float) -> None:
    parameter = next(p for p in PARAMETERS if p is parameter_of)
    value = parameter.minimum + share * (parameter.maximum - parameter.minimum)
    value = parameter.checked(value)
    # Texts are rounded to what people read: a tenth of a decibel, six digits of a share.
    assert parameter.value(parameter.text(value)) == pytest.approx(value, abs=0.051)


def test_a_rounded_zero_has_no_sign() -> None:
    assert PARAMETERS[0].text(-0.04) == "0.0 dB"
    assert PARAMETERS[0].text(-0.06) == "-0.1 dB"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("stem1.gain", "-6 dB", -6.0),
        ("stem1.gain", "-6", -6.0),
        ("stem1.gain", " 3.5dB ", 3.5),
        ("residual.gain", "-inf dB", SILENT_DB),
        ("residual.gain", "-INF", SILENT_DB),
        ("wet", "75 %", 75.0),
        ("bypass", "on", 1.0),
        ("stem2.mute", "No", 0.0),
        ("stem2.solo", "1", 1.0),
    ],
)
def test_people_may_type_values(key: str, text: str, value: float) -> None:
    settings = Settings(2)
    settings[key] = text
    assert settings[key] == value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("stem1.gain", 12.1, "stem1.gain: found 12.1, expected -80.0 dB to 12.0 dB, or -inf dB"),
        ("stem1.gain", math.nan, "stem1.gain: found nan"),
        ("stem1.gain", "loud", "stem1.gain: found 'loud', expected such as '0.0 dB'"),
        ("ceiling", "-inf dB", "ceiling: found -inf"),
        ("wet", -1.0, "wet: found -1, expected 0 % to 100 %"),
        ("bypass", 2.0, "bypass: found 2, expected off to on"),
        ("bypass", math.inf, "bypass: found inf"),
        ("stem3.gain", 0.0, "no parameter 'stem3.gain'; there are stem1.gain"),
    ],
)
def test_refuses_what_is_no_value(key: str, value: float | str, message: str) -> None:
    settings = Settings(2)
    before = settings.values
    with pytest.raises(ValueError) as caught:
        settings[key] = value
    assert str(caught.value).startswith(message)
    assert settings.values == before


def test_a_saved_state_comes_back(make_spec: Callable[..., Spec]) -> None:
    first = Processor(PassThroughSession(make_spec(queries=2)))
    first.set_gains([0.3, 1.7], 0.01)
    first.set("stem2.mute", "on")
    first.wet = 0.4
    second = Processor(PassThroughSession(make_spec(queries=2)), mode="remove")
    second.restore(first.state)
    assert second.state == first.state
    assert second.gains == pytest.approx(first.gains, rel=1e-12)
    with pytest.raises(ValueError, match="no parameter 'pan'"):
        second.restore({"wet": 10.0, "pan": 0.0})
    assert second.wet == pytest.approx(0.4)


def test_linear_gains_come_back_as_they_were() -> None:
    settings = Settings(1)
    settings.set_gains(0.3, 1e-9)
    assert settings.gains == (0.3, 1e-9)
    assert settings["stem1.gain"] == pytest.approx(20 * np.log10(0.3))
    assert settings["residual.gain"] == SILENT_DB
