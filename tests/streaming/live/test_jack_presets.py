"""A preset saved on a real server, where devices have the names that a sound system gives."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Make = Callable[..., Any]


def test_a_preset_names_devices_instead_of_counting_them(
    start_server: Make, run_live: Make, toy_bundle: Make, tmp_path: Path
) -> None:
    server, preset = start_server(), tmp_path / "it.toml"
    saving = ("-i", "0", "-o", "system", "-m", str(toy_bundle().path), "--save-preset", str(preset))
    first = run_live(server, *saving, "--duration", "0.2")
    assert first.finish() == 0, first.text
    saved = tomllib.loads(preset.read_text("utf-8"))
    label = "system, JACK Audio Connection Kit"
    assert (saved["input_device"], saved["output_device"]) == (label, label)
    second = run_live(server, str(preset), "--duration", "0.2")
    assert second.finish() == 0, second.text
    assert f"input    {label}" in second.text
