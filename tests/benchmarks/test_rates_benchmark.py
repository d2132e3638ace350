import json

import pytest

from soloist.benchmarks import rates


def test_figures_of_two_rates(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rates, "RATES", (48_000, 44_100))
    monkeypatch.setattr(rates, "SECONDS", 1)
    assert rates.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)["rates"]
    assert found["48000"]["resampling, ms"] == 0.0
    assert found["44100"]["delay, ms"] == pytest.approx(1000 * 273 / 44_100)
    assert abs(found["44100"]["off, samples"]) < 1e-3
    assert found["44100"]["10000 Hz left, dB"] < -85
    assert rates.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["48000", "44100"]
