"""What PortAudio finds, as JSON on stdout: `python -m soloist.app.sound_system`.

A program of its own, since a sound server that hangs takes along whoever asks PortAudio.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from ...runtime.errors import DeviceError, SoloistError
from ...streaming.live.devices import list_devices, portaudio

# An idle system answers in half a second, one with many virtual devices in two.
_PATIENCE_S = 15.0


def ask() -> dict[str, Any]:
    """`portaudio`, `host_apis` and `devices` as another process finds them.

    Raises `DeviceError` where PortAudio is missing, hangs or crashes.
    """
    try:
        asked = subprocess.run(
            [sys.executable, "-m", __name__],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
        )
        found: dict[str, Any] = json.loads(asked.stdout)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"PortAudio gave no answer for {_PATIENCE_S:g} s: does the sound server hang?"
        ) from error
    except ValueError as error:
        raise DeviceError(f"PortAudio ended its process ({asked.returncode})") from error
    if "error" in found:
        raise DeviceError(found["error"])
    return found


def main() -> None:
    """Ask PortAudio and print the answer."""
    try:
        sounddevice = portaudio()
        found = {
            "sounddevice": sounddevice.__version__,
            "portaudio": sounddevice.get_portaudio_version()[1],
            "host_apis": [api["name"] for api in sounddevice.query_hostapis()],
            "devices": [asdict(device) for device in list_devices()],
        }
    except SoloistError as error:
        found = {"error": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
