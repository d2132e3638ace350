"""The stream around the processor, on a sounddevice without hardware: what the callback does, what
is counted, and how it ends."""

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.app.live.view import print_header
from soloist.runtime.errors import DeviceError, DeviceLost
from soloist.runtime.session import PassThroughSession
from soloist.streaming.live import stream as live_module
from soloist.streaming.live.budget import believable_frames
from soloist.streaming.live.devices import Device, channel_map
from soloist.streaming.live.meters import HISTORY, MeterBoard
from soloist.streaming.live.stream import LiveStream
from soloist.streaming.processor import Processor

HOP = 128

Audio = NDArray[np.float32]
OpenStream = Callable[..., LiveStream]


class FakeStream:
    """PortAudio's stream: `block(...)` is what its driver would do."""

    latency = (0.004, 4294967168 / 48000)
    block_frames = 64  # of the callback that `start` makes
    hangs: Any = None

    def __init__(
        self, callback: Callable[..., None], channels: tuple[int, int], **settings: object
    ) -> None:
        self.callback, self.channels, self.settings = callback, channels, settings
        self.active = False

    def start(self) -> None:
        self.active = True
        if self.block_frames:
            self.block(np.zeros((self.block_frames, self.channels[0]), np.float32))

    def block(self, audio: Audio, flags: str | None = None) -> Audio:
        out = np.full((len(audio), self.channels[1]), 7.0, np.float32)
        self.callback(audio, out, len(audio), None, flags)
        return out

    def stop(self) -> None:
        self.hangs.wait(60)

    def close(self) -> None:
        self.active = False


class PortAudioError(Exception):
    pass


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A sound system with a microphone "mic" (1 in), a "desk" (2 in, 2 out) and a "headset" (1 in,
    2 out), all at 48 kHz."""
    monkeypatch.setattr(FakeStream, "hangs", SimpleNamespace(wait=lambda _: None))
    common: dict[str, object] = {"hostapi": 0, "default_samplerate": 48000.0}
    infos = [
        {"name": "mic", "index": 0, "max_input_channels": 1, "max_output_channels": 0, **common},
        {"name": "desk", "index": 1, "max_input_channels": 2, "max_output_channels": 2, **common},
        {
            "name": "headset",
            "index": 2,
            "max_input_channels": 1,
            "max_output_channels": 2,
            **common,
        },
    ]
    fake = SimpleNamespace(
        PortAudioError=PortAudioError,
        Stream=FakeStream,
        query_hostapis=lambda: [{"name": "Fake"}],
        query_devices=lambda kind=None: infos[1] if kind else infos,
        check_input_settings=lambda *_, **__: None,
        check_output_settings=lambda *_, **__: None,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.fixture
def open_stream(sounddevice: object, toy_bundle: Callable[..., Any]) -> Iterator[OpenStream]:
    """`open_stream(width, **options)`: a started stream that passes `width` channels through."""
    streams: list[LiveStream] = []

    def open_(width: int = 2, **options: Any) -> LiveStream:
        session = PassThroughSession(toy_bundle(hop=HOP).spec, channels=width)
        # No hop is skipped for being late: how busy this machine is should not be heard.
        streams.append(LiveStream(Processor(session), **{"wait": True, **options}))
        streams[-1].start()
        return streams[-1]

    yield open_
    for stream in streams:
        stream.stop()


def noise(frames: int, channels: int = 2) -> Audio:
    return np.random.default_rng(1).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)


def played(stream: LiveStream, audio: Audio, block: int) -> Audio:
    parts = [audio[at : at + block] for at in range(0, len(audio), block)]
    return np.concatenate([stream._stream.block(part) for part in parts])


def test_first_callback_fixes_the_latency(open_stream: OpenStream) -> None:
    stream = open_stream()
    assert stream.latency.processing.total == 2 * HOP - 64
    audio = noise(64 * 40)
    heard = played(stream, audio, 64)
    delay = 2 * HOP - 64
    np.testing.assert_allclose(heard[delay:], audio[:-delay], atol=1e-6)


def test_driver_latency_is_not_believed_blindly(
    open_stream: OpenStream, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = open_stream()
    budget = stream.latency
    assert (budget.driver_input, budget.driver_output) == (192, None)
    assert str(budget) == (
        "9.33 ms (448 samples at 48000 Hz) = "
        "block collected 64 + overlap 128 + block adapter 64 + driver in 192"
    )
    print_header(stream.report(), "toy")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-6:] == [
        "  latency  block collected      64 samples     1.33 ms",
        "           overlap             128 samples     2.67 ms",
        "           block adapter        64 samples     1.33 ms",
        "           driver in           192 samples     4.00 ms",
        "           total               448 samples     9.33 ms",
        "           and what the driver adds, which it does not say in full",
    ]
    assert believable_frames(-0.1, 48000) is None
    assert believable_frames(float("nan"), 48000) is None


def test_varying_blocks_get_the_worst_case_once(open_stream: OpenStream) -> None:
    stream = open_stream()
    stream._stream.block(noise(100))
    assert stream.latency.processing.total == 2 * HOP - 1
    audio = noise(5000)
    heard = np.concatenate(
        [stream._stream.block(part) for part in np.split(audio, [1, 700, 710, 2048, 4999])]
    )
    # What the driver sent before is still in the pipe; after it comes all of this, without a gap.
    np.testing.assert_allclose(heard[2 * HOP - 1 :], audio[: 1 - 2 * HOP], atol=1e-6)


@pytest.mark.parametrize("schedule", ["inline", "worker"])
def test_the_largest_of_varying_blocks_is_told(open_stream: OpenStream, schedule: str) -> None:
    stream = open_stream(schedule=schedule)
    for frames in (128, 1024, 512):
        stream._stream.block(noise(frames))
    parts = dict(stream.latency.whole.parts)
    assert parts["block collected"] == 1024
    assert parts.get("worker") == (1024 if schedule == "worker" else None)


def test_a_processor_may_play_in_another_stream(sounddevice: object, toy_bundle: Any) -> None:
    """What one stream measured with is taken off it, so that the next may have other channels."""
    processor = Processor(toy_bundle(hop=HOP).bundle)
    for channels in (1, 2):
        stream = LiveStream(processor, channels=channels, wait=True)
        stream.start()
        stream._stream.block(noise(64, channels))
        assert stream.fault is None
        assert len(processor._taps) == 1
        stream.stop()
        assert not processor._taps


def test_mono_microphone_is_heard_on_both_sides(open_stream: OpenStream) -> None:
    stream = open_stream(width=1, input_device="headset", output_device="headset")
    assert (stream.input_channels, stream.output_channels) == (1, 2)
    audio = noise(64 * 20, 1)
    heard = played(stream, audio, 64)
    np.testing.assert_array_equal(heard[:, 0], heard[:, 1])
    np.testing.assert_allclose(heard[192:, 0], audio[:-192, 0], atol=1e-6)


def test_fault_in_a_callback_is_silence_and_counted(
    open_stream: OpenStream, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = open_stream()
    stream.processor.release()  # process will raise
    out = stream._stream.block(noise(64))
    assert not out.any()
    stream._stream.block(noise(64))
    meters = stream.read_meters()
    assert (meters.faults, meters.callbacks) == (2, 3)
    assert isinstance(stream.fault, ValueError)
    assert capsys.readouterr() == ("", "")


def test_warming_up_counts_for_nothing(open_stream: OpenStream) -> None:
    stream = open_stream()
    assert stream.counters.hops == 0
    played(stream, noise(4 * HOP), HOP)
    assert stream.counters.hops == 4


def test_flags_and_levels_are_metered(open_stream: OpenStream) -> None:
    stream = open_stream()
    stream._stream.block(noise(64), flags="input overflow")
    loud = np.zeros((64, 2), np.float32)
    loud[3, 1] = -0.75
    for _ in range(5):
        stream._stream.block(loud)
    assert stream.read_meters().xruns == 1
    levels = stream.levels.read()
    assert levels.input.peak == 0.75
    assert levels.output.peak == pytest.approx(0.75, abs=1e-5)
    stem, rest = levels.stems
    assert (stem.peak, rest.peak) == pytest.approx((0.75, 0.0), abs=1e-5)


def test_not_a_number_is_no_level(open_stream: OpenStream) -> None:
    stream = open_stream()
    stream._stream.block(np.full((64, 2), np.nan, np.float32))
    assert stream.levels.read().input.peak == 0.0
    assert stream.counters.bad_input == 128


def test_interpreter_is_quiet_while_running(open_stream: OpenStream) -> None:
    interval = sys.getswitchinterval()
    stream = open_stream()
    assert not gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(1e-4)
    assert stream.stop()
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(interval)
    assert stream.stop()  # again: nothing happens


def test_lost_devices_are_noticed(open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = open_stream()
    stream.check()
    stream._stream.active = False
    with pytest.raises(DeviceLost, match="'desk, Fake' gave no audio for"):
        stream.check()
    stream._stream.active = True
    monkeypatch.setattr(live_module, "_SILENT_LIMIT_S", 0.0)
    with pytest.raises(DeviceLost):
        stream.check()


def test_device_without_audio_is_lost_at_start(
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeStream, "block_frames", 0)
    monkeypatch.setattr(live_module, "_START_LIMIT_S", 0.05)
    with pytest.raises(DeviceLost, match="gave no audio"):
        open_stream()


def test_stop_gives_up_on_a_driver_that_hangs(
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(FakeStream, "hangs", release)
    monkeypatch.setattr(live_module, "_STOP_LIMIT_S", 0.05)
    stream = open_stream()
    assert not stream.stop()
    release.set()


def test_settings_reach_the_driver(open_stream: OpenStream) -> None:
    stream = open_stream(block_size=64, latency="high")
    settings = stream._stream.settings
    assert settings["blocksize"] == 64
    assert settings["latency"] == "high"
    assert settings["device"] == (1, 1)
    assert settings["dtype"] == "float32"


def test_another_rate_is_resampled(
    open_stream: OpenStream, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no network changes comes back as it was, at the delay that is shown."""
    stream = open_stream(sample_rate=44100)
    assert stream._stream.settings["samplerate"] == 44100
    assert stream.read_meters().block_ms == pytest.approx(64 / 44.1)
    low = np.sin(2 * np.pi * 440 / 44100 * np.arange(64 * 200)).astype(np.float32)
    audio = np.stack([low, -0.5 * low], axis=1)
    heard = played(stream, audio, 64)
    delay = stream.latency.processing.total
    np.testing.assert_allclose(heard[delay + 2000 :], audio[2000:-delay], atol=1e-4)
    assert stream.counters.shortfall == 0
    print_header(stream.report(), "toy")
    shown = capsys.readouterr().err
    assert "44100 Hz, blocks of 64 frames (1.45 ms)\n" in shown
    assert "resampled to the model's 48000 Hz and back" in shown
    assert f"resampler            {dict(stream.latency.whole.parts)['resampler']} samples" in shown


@pytest.mark.parametrize(
    ("refused", "opened"), [([], 48000), ([48000], 44100), ([48000, 44100], 96000)]
)
def test_devices_without_the_models_rate_play_at_their_own(
    sounddevice: SimpleNamespace,
    toy_bundle: Callable[..., Any],
    refused: list[int],
    opened: int,
) -> None:
    def check(*_: object, samplerate: int, **__: object) -> None:
        if samplerate in refused:
            raise PortAudioError("Invalid sample rate", -9997)

    sounddevice.check_input_settings = sounddevice.check_output_settings = check
    mic, desk, _ = sounddevice.query_devices()
    mic["default_samplerate"], desk["default_samplerate"] = 96000.0, 44100.0
    processor = Processor(PassThroughSession(toy_bundle(hop=HOP).spec))
    assert LiveStream(processor, input_device="mic").sample_rate == opened


def test_devices_of_no_common_rate_are_refused(
    open_stream: OpenStream, sounddevice: SimpleNamespace
) -> None:
    def check(*_: object, **__: object) -> None:
        raise PortAudioError("Invalid sample rate", -9997)

    sounddevice.check_input_settings = check
    with pytest.raises(DeviceError, match="does not run at 48000 Hz"):
        open_stream()
    with pytest.raises(DeviceError, match="does not run at 44100 Hz"):
        open_stream(sample_rate=44100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sample_rate": 100}, "found sample rates of 100 and 48000 Hz; one can be at most 256"),
        ({"block_size": 100_000}, "--block-size takes 1 to 8192 frames"),
        ({"channels": 3}, "input 'desk, Fake' has 2 channels, --channels asks for 3"),
        ({"input_device": "no such"}, "no input device matches"),
    ],
)
def test_refusals(open_stream: OpenStream, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        open_stream(**options)


def test_error_of_opening_is_a_sentence(
    open_stream: OpenStream, sounddevice: SimpleNamespace
) -> None:
    def refuse(**_: object) -> None:
        raise PortAudioError("Error opening Stream: Invalid sample rate", -9997)

    sounddevice.Stream = refuse
    with pytest.raises(DeviceError, match="'desk, Fake' does not run at 48000 Hz"):
        open_stream()


@pytest.mark.parametrize(
    ("inputs", "outputs", "asked", "opened"),
    [
        (2, 2, None, (2, 2)),
        (1, 1, None, (1, 1)),
        (1, 2, None, (1, 2)),  # a microphone and headphones
        (2, 1, None, (1, 1)),
        (8, 8, None, (2, 2)),
        (8, 8, 4, (4, 4)),
        (1, 8, 4, (1, 4)),
        (1, 2, 1, (1, 1)),
    ],
)
def test_channel_map(inputs: int, outputs: int, asked: int | None, opened: tuple[int, int]) -> None:
    source = Device(0, "a", "Fake", inputs, 0, 48000.0)
    sink = Device(1, "b", "Fake", 0, outputs, 48000.0)
    assert channel_map(source, sink, asked) == opened


def test_overloads_and_percentiles() -> None:
    board = MeterBoard(48000)
    assert board.read().process_p99_ms == 0.0
    board.finish(48, 1_000_001)  # a millisecond's block
    board.finish(48, 1_000_000)
    board.finish(0, 5)
    assert board.read().overloads == 1
    board.finish(48, 5, beside=2_000_000)  # a network that nothing waits for
    assert board.read().overloads == 1
    assert board.read().process_p99_ms > 1.5
    for _ in range(HISTORY):
        board.finish(480, 2_000_000)
    meters = board.read()
    assert (meters.process_p50_ms, meters.process_p99_ms) == (2.0, 2.0)
    assert meters.share_of_block(meters.process_p50_ms) == pytest.approx(0.2)
