"""Half a minute of what the benchmark plays for an hour, with the same promises."""

import json

import pytest

from soloist.benchmarks import drift
from soloist.benchmarks.drift import CASES, Case


def keeps_its_promises(figure: dict[str, float]) -> bool:
    """No under- or overrun, delay within 1 ms, distortion and noise at -80 dB or below."""
    return (
        figure["underruns"] == figure["overruns"] == 0
        and max(-figure["least error, ms"], figure["greatest error, ms"]) < 1.0
        and figure["worst second, dB"] < -80
    )


@pytest.mark.parametrize("case", CASES[:5], ids=lambda case: case.name)
def test_clocks_that_disagree(case: Case) -> None:
    figure = drift.run(case, 30)
    assert keeps_its_promises(figure), figure


def test_clocks_that_wander() -> None:
    case = Case("", drift._wandering(200, 100), drift._wandering(-200, 100))
    figure = drift.run(case, 50)
    assert keeps_its_promises(figure), figure


def test_a_clock_that_steps() -> None:
    case = Case("", drift._stepping(200, 25), drift._steady(0), 128, 441)
    figure = drift.run(case, 40)
    assert keeps_its_promises(figure), figure
    assert figure["greatest error, ms"] - figure["least error, ms"] > 0.4  # so it has been seen


def test_a_clock_too_far_off_is_noticed() -> None:
    """2000 ppm are more than it follows: then the delay is restored by leaps, and they count."""
    figure = drift.run(Case("", drift._steady(2000), drift._steady(0)), 30)
    assert figure["overruns"] > 0
    assert not keeps_its_promises(figure)


def test_prints_a_row_a_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drift, "CASES", CASES[:2])
    monkeypatch.setattr(drift, "SETTLED_S", 1)
    assert drift.main(["--minutes", "0.05"]) == 0
    assert [line[:7] for line in capsys.readouterr().out.splitlines()[2:]] == ["fast in", "slow in"]
    assert drift.main(["--minutes", "0.05", "--only", "slow in", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["cases"]) == ["slow in, fast out"]
