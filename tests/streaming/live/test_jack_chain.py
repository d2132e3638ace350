"""Player → `soloist live` → recorder on a real JACK server, and every way such a run can end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.queries import conditioning_for
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Audio = NDArray[np.float32]
Make = Callable[..., Any]  # the fixtures of conftest.py are functions

RATE = 48000
HOP = 128


def noise(frames: int, channels: int) -> Audio:
    rng = np.random.default_rng(5)
    # A level that wanders over half a second, so that the toy's masks have something to follow.
    level = 0.5 + 0.4 * np.sin(np.arange(frames) * 2 * np.pi * 2 / RATE)
    return (level[:, None] * rng.uniform(-0.5, 0.5, (frames, channels))).astype(np.float32)


def ways_to_match(
    processor: Processor,
    audio: Audio,
    heard: Audio,
    delay: int,
    period: int,
    block_size: int | None = None,
) -> int:
    """In how many ways the offline output of `audio` equals what was heard, to the bit.

    Live has played silence for a number of periods when the audio begins, so there is one offline
    output for each way in which its hops can lie over the audio. The silence itself leaves no
    trace: the toy's state stays zero in it. `block_size` is that of the offline processor.
    """
    heard = heard[delay : delay + len(audio)]
    matches = 0
    for lead in range(0, int(np.lcm(HOP, period)), period):
        silence = np.zeros((lead, audio.shape[1]), np.float32)
        expected = separate_array(
            processor, np.concatenate([silence, audio]), RATE, block_size=block_size
        )
        matches += np.array_equal(heard, expected[lead:])
    return matches


@pytest.mark.parametrize(
    ("period", "channels"), [(64, 2), (128, 1), (256, 2), (192, 2), (96, 1)], ids=str
)
def test_live_equals_offline(
    start_server: Make, play_through: Make, toy_bundle: Make, period: int, channels: int
) -> None:
    toy = toy_bundle(hop=HOP)
    audio = noise(RATE, channels)
    server = start_server(period=period)
    recording = play_through(server, audio, "--model", str(toy.path), outputs=channels)
    delay = 2 * HOP - int(np.gcd(HOP, period))
    # Programs hand blocks on within one period of JACK's: none has to be collected.
    parts = {"overlap": HOP, "block adapter": delay - HOP, "driver in": 0, "total": delay}
    for name, samples in parts.items():
        assert re.search(f" {name} +{samples} samples", recording.text)
    assert np.abs(recording.audio).max() > 0.1
    assert (
        ways_to_match(Processor(toy.bundle, linked=True), audio, recording.audio, delay, period)
        == 1
    )
    assert recording.code == 130


@pytest.mark.parametrize(("block", "extra"), [(0, 0), (480, 480)], ids=["server's", "fixed"])
def test_by_portaudio_where_jack_client_is_missing(
    start_server: Make,
    play_through: Make,
    toy_bundle: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    block: int,
    extra: int,
) -> None:
    """It needs to be told to wait. A fixed block size costs one more block, for PortAudio's own
    adapter between the server's 256 frames and the 480 asked for; see live.py."""
    toy = toy_bundle(hop=HOP)
    audio = noise(RATE, 2)
    server = start_server(period=256)
    (tmp_path / "jack.py").write_text("raise ImportError")
    server.environment["PYTHONPATH"] = str(tmp_path)
    recording = play_through(
        server, audio, "-m", str(toy.path), "--wait", "--block-size", str(block), outputs=2
    )
    delay = 2 * HOP - int(np.gcd(HOP, block or 256)) + extra
    period = block or 256
    assert (
        ways_to_match(Processor(toy.bundle, linked=True), audio, recording.audio, delay, period)
        == 1
    )
    assert f"block collected     {period} samples" in recording.text


@pytest.mark.parametrize(("rate", "period"), [(44_100, 441), (96_000, 256)], ids=str)
def test_a_server_at_another_rate(
    start_server: Make, play_through: Make, toy_bundle: Make, rate: int, period: int
) -> None:
    """As the same processor does it at that rate. What was silent before moves the grid of the
    hops, so the masks may differ a little; a shift of one sample would differ by as much as is
    heard."""
    toy = toy_bundle(hop=HOP)
    audio = noise(rate // period * period, 2)
    server = start_server(rate=rate, period=period)
    recording = play_through(server, audio, "--model", str(toy.path), outputs=2)
    processor = Processor(toy.bundle, linked=True)
    processor.prepare(rate, period, 2, block=period)
    expected = np.empty_like(audio)
    for start in range(0, len(audio), period):
        processor.process(audio[start : start + period], expected[start : start + period])
    inner = slice(rate // 10, len(audio))
    error = np.square(recording.audio[: len(audio)] - expected)[inner].mean()
    assert error < 1e-3 * np.square(expected[inner]).mean()
    for name, samples in processor.latency.parts:
        assert re.search(f" {name} +{samples} samples", recording.text)
    assert "resampled to the model's 48000 Hz" in recording.text


def test_words_and_remove_and_mono_to_both_outputs(
    start_server: Make, play_through: Make, toy_bundle: Make
) -> None:
    toy = toy_bundle(hop=HOP)
    audio = noise(RATE, 1)
    recording = play_through(
        start_server(), audio, "-m", str(toy.path), "--remove", "-q", "rain", "-q", "dog", outputs=2
    )
    conditioning = conditioning_for(toy.bundle, ["rain", "dog"])
    processor = Processor(toy.bundle, mode="remove", conditioning=conditioning)
    for side in (recording.audio[:, :1], recording.audio[:, 1:]):
        assert ways_to_match(processor, audio, side, HOP, 128) == 1
    assert "remove rain, dog" in recording.text


# How it ends.


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_signals_end_it_cleanly(
    start_server: Make, run_live: Make, toy_bundle: Make, number: int, code: int
) -> None:
    live = run_live(start_server(), "-i", "system", "-o", "system", "-m", str(toy_bundle().path))
    live.wait_for("READY")
    live.process.send_signal(number)
    assert live.finish() == code
    summary = next(line for line in reversed(live.errors) if "xruns " in line)
    assert summary.startswith("soloist live: ")
    assert "overloads" in summary
    assert "Traceback" not in live.text


def test_duration_ends_it(start_server: Make, run_live: Make, toy_bundle: Make) -> None:
    model = ("-m", str(toy_bundle().path))
    live = run_live(start_server(), "-i", "system", "-o", "system", *model, "--duration", "0.5")
    assert live.finish() == 0
    assert "READY" in live.text


def test_xruns_are_counted(start_server: Make, run_live: Make, toy_bundle: Make) -> None:
    server = start_server()
    live = run_live(server, "-i", "system", "-o", "system", "-m", str(toy_bundle().path))
    live.wait_for("READY")
    os.kill(live.player, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(live.player, signal.SIGCONT)
    time.sleep(0.5)
    assert live.end() == 130
    summary = next(line for line in reversed(live.errors) if "xruns " in line)
    xruns = int(summary.rpartition("xruns ")[2])
    assert xruns > 0


def test_server_changes_its_period(start_server: Make, run_live: Make, toy_bundle: Make) -> None:
    server = start_server(period=128)
    live = run_live(server, "-i", "system", "-o", "system", "-m", str(toy_bundle(hop=HOP).path))
    live.wait_for("READY")
    subprocess.run(["jack_bufsize", "256"], env=server.environment, check=True, capture_output=True)
    live.wait_for("the driver changed its block size: latency is now ")
    assert live.end() == 130
    assert f"= overlap {HOP} + block adapter 0 + driver in 256 + driver out 256" in live.text


def test_a_stopped_interface_stops_no_audio(
    start_server: Make, run_live: Make, toy_bundle: Make
) -> None:
    """The process that a person looks at stands still for seconds; blocks go on.

    A busy machine's driver without hardware leaves some out, so a third of them are enough.
    """
    live = run_live(
        start_server(), "-i", "system", "-o", "system", "-m", str(toy_bundle().path), "--wait"
    )
    live.wait_for("READY")
    live.process.send_signal(signal.SIGSTOP)
    time.sleep(3.0)
    live.process.send_signal(signal.SIGCONT)
    assert live.end() == 130
    summary = next(line for line in reversed(live.errors) if "blocks" in line)
    blocks = int(summary.removeprefix("soloist live: ").partition(" ")[0])
    assert blocks * 128 >= 1.0 * RATE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_lost_server(start_server: Make, run_live: Make, toy_bundle: Make, number: int) -> None:
    server = start_server()
    model = ("-m", str(toy_bundle().path))
    live = run_live(server, "-i", "system", "-o", "system", *model, "--reconnect", "0")
    live.wait_for("READY")
    server.process.send_signal(number)
    assert live.finish(timeout=10) == 3
    assert live.errors[-1].startswith("soloist: audio device lost: input 'system, JACK")


def test_a_server_that_comes_back(start_server: Make, run_live: Make, toy_bundle: Make) -> None:
    """Killed and started again: said, and played on at the same latency."""
    server = start_server()
    live = run_live(server, "-i", "system", "-o", "system", "-m", str(toy_bundle(hop=HOP).path))
    live.wait_for("READY")
    server.process.kill()
    live.wait_for("soloist: audio device lost: input 'system, JACK")
    server.restart()
    live.wait_for("audio is back, latency ")
    assert live.end() == 130
    latency = 2 * server.period + HOP  # a period in, a hop here, a period out
    assert f"{latency} samples" in next(x for x in live.errors if x.startswith("audio is back"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-i", "theremin"), "no input device matches 'theremin'; there are: 0 'system, JACK"),
        (("-o", "7"), "no device 7; there are: 0 'system, JACK"),
        (("-c", "5"), "input 'system, JACK Audio Connection Kit' has 2 channels, --channels asks"),
        (
            ("-r", "44100"),
            "input 'system, JACK Audio Connection Kit' with output 'system, JACK Audio Connection "
            "Kit' does not run at 44100 Hz (JACK's server runs at 48000 Hz): leave --sample-rate",
        ),
        (("-b", "256"), "--block-size: JACK's server decides, and has 128 frames: leave it out"),
        (("--jack", "-i", "theremin"), "no input device matches 'theremin'; there are: 0 'system"),
        (("--jack", "-c", "3", "-o", "system"), "output 'system, JACK Audio Connection Kit' has 2"),
        (("--jack", "--client-name", "a:b"), "--client-name takes 1 to 64 bytes without a colon"),
        (("--latency", "fast"), "--latency takes low, high or seconds below 10, found 'fast'"),
    ],
    ids=["name", "index", "channels", "rate", "block", "client", "width", "own name", "latency"],
)
def test_refusals_are_one_line(
    start_server: Make, run_live: Make, toy_bundle: Make, options: tuple[str, ...], said: str
) -> None:
    live = run_live(start_server(), "-m", str(toy_bundle().path), *options)
    assert live.finish() == 2
    assert live.text.startswith(f"soloist: {said}")
    assert live.text.count("\n") == 1


def test_no_server_is_one_line(
    start_server: Make, run_live: Make, toy_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server()
    server.environment["JACK_DEFAULT_SERVER"] += "-not"
    live = run_live(server, "-m", str(toy_bundle().path), "--jack")
    assert live.finish() == 2
    assert live.text == (
        "soloist: no JACK server is running: start one, or with PipeWire run "
        "`pw-jack soloist live ...`\n"
    )


def test_devices_lists_jack(start_server: Make) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "soloist", "devices", "--json"],
        env=start_server(channels=3).environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert listed.returncode == 0
    (device,) = json.loads(listed.stdout)
    assert device["name"] == "system"
    assert device["host_api"] == "JACK Audio Connection Kit"
    assert (device["input_channels"], device["output_channels"]) == (3, 3)
    assert device["default_input"] and device["default_output"]
