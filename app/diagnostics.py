"""`soloist diagnostics`: everything about this installation that a bug report needs.

Each part is found by itself: one that fails is among the problems, and the others are told.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__, runtime
from ..benchmarks.environment import machine
from ..runtime.bundle import Bundle
from ..runtime.errors import DeviceError, SoloistError
from ..streaming.live import pulse, virtual_cable
from ..streaming.live.budget import LatencyBudget
from ..streaming.live.devices import Device
from ..streaming.processor import Processor
from .console import emit_json
from .live import last_session, presets, sound_system
from .options import SHIPPED, Json

_PACKAGES = (
    *("numpy", "onnxruntime", "onnxruntime-gpu", "sounddevice", "soundfile", "samplerate", "soxr"),
    *("JACK-Client", "tokenizers", "typer", "rich", "pillow", "torch"),
)
_RATE, _BLOCK = 48_000, 128
_RUNTIME = Path(runtime.__file__).parent


@dataclass
class Findings:
    """A part of the report: facts by name, and what is wrong with it, if anything."""

    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def diagnostics(as_json: Json = False) -> None:
    """Show all that a bug report needs: versions, devices, rights, models, the last session.

    There is nothing in it but what is shown; the names of your audio devices are.
    """
    found = {name: _find(name, part) for name, part in PARTS.items()}
    problems = [problem for findings in found.values() for problem in findings.problems]
    if as_json:
        emit_json({name: each.facts for name, each in found.items()} | {"problems": problems})
        return
    for name, findings in found.items():
        print(name)
        for line in _lines(findings.facts):
            print(f"  {line}")
    print("problems")
    for problem in problems or ["none found"]:
        print(f"  {problem}")


def _find(name: str, part: Callable[[], Findings]) -> Findings:
    try:
        return part()
    except Exception as error:  # whatever is broken here is what the report is for
        kind = "" if isinstance(error, SoloistError) else f"{type(error).__name__}: "
        return Findings(problems=[f"{name}: {kind}{' '.join(str(error).split())}"])


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if isinstance(value, dict):
            value = [f"{key} {_shown(each)}" for key, each in value.items()]
        values = value if isinstance(value, list) else [value]
        for each in values or ["none"]:
            yield f"{name:<{width}}  {_shown(each)}"
            name = ""


def _shown(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return "".join(letter for letter in text if letter.isprintable())


def _software() -> Findings:
    facts: dict[str, Any] = {"soloist": __version__, "python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Findings(facts)


def _machine() -> Findings:
    found = machine()
    names = {"cpu": "processor", "cores": "cores", "usable_cores": "usable cores"}
    names["governor"] = "governor"
    known = {name: found[key] for key, name in names.items() if found[key] is not None}
    return Findings({"system": platform.platform(), **known})


def _rights() -> Findings:
    if sys.platform == "win32":
        return Findings({"limits": "Windows has none of these"})
    import resource

    found = Findings()
    # Linux only; a process that may have a priority of 0 at most may have none.
    rtprio = getattr(resource, "RLIMIT_RTPRIO", None)
    if rtprio is not None:
        priority = resource.getrlimit(rtprio)[0]
        found.facts["real-time priority"] = _limit(priority)
        if priority == 0 and os.geteuid() != 0:
            found.problems.append(
                "rights: no real-time priority; docs/live.md says how to grant it"
            )
    found.facts["locked memory"] = f"{_limit(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])} bytes"
    return found


def _limit(limit: int) -> str:
    import resource

    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def _audio() -> Findings:
    answer = sound_system.ask()
    devices = [Device(**each) for each in answer["devices"]]
    found = Findings({name: answer[name] for name in ("sounddevice", "portaudio", "host_apis")})
    found.facts["devices"] = [
        f"{'>' if device.default_input else ' '}{'<' if device.default_output else ' '} "
        f"{device.label}: {device.input_channels} in, {device.output_channels} out, "
        f"{device.sample_rate:g} Hz"
        for device in devices
    ]
    for kind, missing in (
        ("input", not any(device.input_channels for device in devices)),
        ("output", not any(device.output_channels for device in devices)),
    ):
        if missing:
            found.problems.append(f"audio: no {kind} device found; is a sound server running?")
    return found


def _sound_server() -> Findings:
    """PulseAudio or PipeWire, where --virtual-mic and its like have their devices."""
    if not sys.platform.startswith("linux"):
        return Findings({"name": "the system's own"})
    try:
        server, ends = pulse.server(), virtual_cable.look()
    except DeviceError as error:  # fine with JACK, or ALSA alone
        return Findings({"name": f"none: {error}"})
    found = Findings(
        {
            "name": server.name,
            "default source": server.default_source,
            "default sink": server.default_sink,
            "virtual cable": [f"{end.name} {end.state}" for end in ends],
        }
    )
    for end in ends:
        if end.left_behind:
            found.problems.append(
                f"sound server: the virtual {end.name} was {end.state}; `soloist virtual-cable "
                "remove` clears it away"
            )
    return found


def _models() -> Findings:
    facts: dict[str, Any] = {}
    for file in sorted([*_RUNTIME.glob("models/*.onnx"), *_RUNTIME.glob("encoders/*.onnx")]):
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        facts[file.stem] = f"{len(content) / 1e6:.1f} MB, sha256 {digest}"
    missing = [] if SHIPPED in facts else [f"models: {SHIPPED!r}, which ships, is not there"]
    return Findings(facts, missing)


def _network() -> Findings:
    import onnxruntime

    facts: dict[str, Any] = {"providers": onnxruntime.get_available_providers()}
    processor = Processor(Bundle.open(SHIPPED))
    processor.prepare(_RATE, _BLOCK, 1, block=_BLOCK)
    facts["runs on"] = processor.provider
    budget = LatencyBudget(processor.latency, _BLOCK)
    facts["latency"] = f"{budget}, before drivers"
    processor.release()
    return Findings(facts)


def _files() -> Findings:
    names = sorted(file.stem for file in presets.folder().glob("*.toml"))
    return Findings(
        {
            "program": str(Path(runtime.__file__).parents[1]),
            "presets": f"{presets.folder()} ({len(names)} there)",
            "last session": str(last_session.path()),
        }
    )


def _last_session() -> Findings:
    session = last_session.recall()
    if session is None:
        return Findings({"ended": "there was none"})
    problems = [f"last session: {fault}" for fault in session["faults"]]
    meters, counters = session["meters"] or {}, session["counters"] or {}
    for name, count in {**counters, **meters}.items():
        if name in ("xruns", "overloads", "faults", "late", "shortfall", "bad_input") and count:
            problems.append(f"last session: {count} {name.replace('_', ' ')}")
    return Findings(session, problems)


PARTS: dict[str, Callable[[], Findings]] = {
    "software": _software,
    "machine": _machine,
    "rights": _rights,
    "audio": _audio,
    "sound server": _sound_server,
    "models": _models,
    "network": _network,
    "files": _files,
    "last session": _last_session,
}
