"""Two devices with a clock each, on a sounddevice without hardware: two streams and the bridge."""

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.app.live.view import print_header
from soloist.runtime.errors import DeviceError, DeviceLost
from soloist.runtime.session import PassThroughSession
from soloist.streaming.live import duplex as module
from soloist.streaming.live import stream as live_module
from soloist.streaming.live.devices import Device
from soloist.streaming.live.duplex import BridgedStream, one_clock
from soloist.streaming.live.stream import LiveStream
from soloist.streaming.processor import Processor

HOP, RATE = 128, 48_000

Audio = NDArray[np.float32]
OpenStream = Callable[..., LiveStream]


class Halves:
    """A microphone, mono, and headphones, stereo, and the time at which their callbacks come.

    `run` plays `source(first, frames)` in blocks of `block_in` to blocks of `block_out`; the
    microphone's clock is fast by `fast`.
    """

    block_in, block_out, fast = 128, 128, 0.0
    refused: tuple[str, ...] = ()  # kinds of stream that do not open

    def __init__(self) -> None:
        self.now = 0.0
        self.sent = 0
        self.input: Any = None
        self.output: Any = None
        self.opened: list[SimpleNamespace] = []
        self._due_in, self._due_out = 0.0, 0.0005

    def open(self, kind: str, callback: Callable[..., None], **settings: Any) -> SimpleNamespace:
        if kind in self.refused:
            raise PortAudioError("Device unavailable", -9985)
        stream = SimpleNamespace(callback=callback, settings=settings, active=False, latency=0.004)
        stream.start = lambda: self._start(stream)
        stream.stop = lambda: setattr(stream, "active", False)
        stream.close = lambda: setattr(stream, "closed", True)
        setattr(self, kind, stream)
        self.opened.append(stream)
        return stream

    def _start(self, stream: SimpleNamespace) -> None:
        stream.active = True
        if stream is self.output:
            self.run(0.01)

    def run(self, seconds: float, source: Callable[[int, int], Audio] | None = None) -> Audio:
        """What is played within that time, (frames, 2)."""
        heard, end = [np.zeros((0, 2), np.float32)], self.now + seconds
        while min(self._due_in, self._due_out) < end:
            if self._due_in <= self._due_out:
                self.now = self._due_in
                self.capture(source)
                self._due_in += self.block_in / (RATE * (1 + self.fast))
            else:
                self.now = self._due_out
                heard.append(self.play())
                self._due_out += self.block_out / RATE
        return np.concatenate(heard)

    def capture(self, source: Callable[[int, int], Audio] | None, flags: str | None = None) -> None:
        audio = np.zeros((self.block_in, 1), np.float32)
        if source is not None:
            audio[:, 0] = source(self.sent, self.block_in)
        self.input.callback(audio, self.block_in, None, flags)
        self.sent += self.block_in

    def play(self) -> Audio:
        out = np.full((self.block_out, 2), 7.0, np.float32)
        self.output.callback(out, self.block_out, None, None)
        return out


class PortAudioError(Exception):
    pass


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> Halves:
    halves = Halves()
    common: dict[str, object] = {"default_samplerate": 48000.0}
    infos = [
        {"name": "mic", "index": 0, "hostapi": 0, "max_input_channels": 1,
         "max_output_channels": 0, **common},
        {"name": "phones", "index": 1, "hostapi": 1, "max_input_channels": 0,
         "max_output_channels": 2, **common},
    ]  # fmt: skip
    fake = SimpleNamespace(
        PortAudioError=PortAudioError,
        InputStream=lambda **settings: halves.open("input", **settings),
        OutputStream=lambda **settings: halves.open("output", **settings),
        query_hostapis=lambda: [{"name": "Fake"}, {"name": "Other"}],
        query_devices=lambda kind=None: infos[("input", "output").index(kind)] if kind else infos,
        check_input_settings=lambda *_, **__: None,
        check_output_settings=lambda *_, **__: None,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    clock = SimpleNamespace(perf_counter_ns=lambda: int(1e9 * halves.now))
    monkeypatch.setattr(module, "time", clock)
    return halves


@pytest.fixture
def open_stream(halves: Halves, toy_bundle: Callable[..., Any]) -> Iterator[OpenStream]:
    streams: list[LiveStream] = []

    def open_(**options: Any) -> LiveStream:
        session = PassThroughSession(toy_bundle(hop=HOP).spec, channels=1)
        # No hop is skipped for being late: how busy this machine is should not be heard.
        streams.append(LiveStream(Processor(session), wait=True, **options))
        streams[-1].start()
        return streams[-1]

    yield open_
    for stream in streams:
        stream.stop()


def tone(first: int, frames: int) -> Audio:
    audio: Audio = (0.5 * np.sin(np.pi / 24 * np.arange(first, first + frames))).astype(np.float32)
    return audio


def test_two_streams_and_the_bridge_in_the_chain(
    open_stream: OpenStream, halves: Halves, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = open_stream(block_size=128)
    assert isinstance(stream._stream, BridgedStream)
    source, sink = halves.opened
    assert (source.settings["device"], source.settings["channels"]) == (0, 1)
    assert (sink.settings["device"], sink.settings["channels"]) == (1, 2)
    for one in (source, sink):
        assert one.settings["samplerate"] == RATE
        assert (one.settings["blocksize"], one.settings["latency"]) == (128, "low")
    whole = dict(stream.latency.whole.parts)
    filter_ = whole.pop("resampler")
    assert 15 < filter_ < 30
    assert whole == {
        "block collected": 128,
        "clock bridge": 128 + 96,
        "overlap": 128,
        "block adapter": 0,
        "driver in": 192,
        "driver out": 192,
    }
    print_header(stream.report(), "toy")
    assert "clock bridge        224 samples     4.67 ms" in capsys.readouterr().err


@pytest.mark.parametrize(("block_in", "block_out"), [(128, 128), (128, 441), (512, 64)])
@pytest.mark.parametrize("ppm", [-400, 400])
def test_clocks_that_disagree(
    open_stream: OpenStream, halves: Halves, block_in: int, block_out: int, ppm: int
) -> None:
    """Nothing is lost: what is heard of a tone is the tone, at a pitch shifted by the ppm."""
    halves.block_in, halves.block_out, halves.fast = block_in, block_out, ppm * 1e-6
    stream = open_stream()
    halves.run(20, tone)
    heard = halves.run(2, tone)[-RATE:, 0].astype(float)
    assert len(heard) == RATE
    assert stream.read_meters().xruns == 0
    assert stream.counters.shortfall == 0
    window = np.hanning(RATE)
    power = np.abs(np.fft.rfft(window * heard)) ** 2
    near = slice(980, 1021)
    assert 10 * np.log10(1 - power[near].sum() / power.sum()) < -80
    assert np.sqrt(2 * np.mean(heard**2)) == pytest.approx(0.5, rel=1e-3)


def test_without_input_nothing_is_called(open_stream: OpenStream, halves: Halves) -> None:
    """So that a microphone that was unplugged is noticed though the headphones go on."""
    stream = open_stream()
    halves.run(1, tone)
    halves.now += 0.6
    before = stream.read_meters().callbacks
    assert not halves.play().any()
    assert stream.read_meters().callbacks == before
    halves.capture(tone)
    halves.play()
    assert stream.read_meters().callbacks == before + 1


def test_no_input_from_the_start(
    open_stream: OpenStream, halves: Halves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halves, "capture", lambda _: None)
    monkeypatch.setattr(live_module, "_START_LIMIT_S", 0.05)
    with pytest.raises(DeviceLost, match="opened but gave no audio"):
        open_stream()


def test_flags_of_the_input_and_gaps_are_counted(open_stream: OpenStream, halves: Halves) -> None:
    stream = open_stream()
    halves.run(0.1, tone)
    halves.capture(tone, flags="input overflow")
    halves.play()
    halves.play()
    assert stream.read_meters().xruns == 1
    for _ in range(8):  # more than the bridge holds
        halves.play()
    assert stream.read_meters().xruns == 2


def test_a_fault_at_either_end_is_counted_and_silent(
    open_stream: OpenStream, halves: Halves
) -> None:
    stream = open_stream()
    halves.run(0.5, tone)
    halves.input.callback(np.zeros((10, 3), np.float32), 10, None, None)
    assert stream.read_meters().faults == 1
    stream._stream._audio = np.zeros((8192, 2), np.float32)  # no longer the bridge's channels
    assert not halves.play().any()
    assert stream.read_meters().faults > 1
    assert isinstance(stream.fault, ValueError)


@pytest.mark.parametrize(("kind", "name"), [("input", "mic, Fake"), ("output", "phones, Other")])
def test_a_device_that_does_not_open(
    open_stream: OpenStream, halves: Halves, kind: str, name: str
) -> None:
    halves.refused = (kind,)
    with pytest.raises(DeviceError, match=f"{kind} '{name}' is in use by another program"):
        open_stream()
    assert all(stream.closed for stream in halves.opened)


def test_either_that_ends_is_an_end(open_stream: OpenStream, halves: Halves) -> None:
    stream = open_stream()
    stream.check()
    halves.input.active = False
    with pytest.raises(DeviceLost, match="'mic, Fake' with output 'phones, Other' gave no audio"):
        stream.check()
    assert stream.stop()
    assert all(one.closed and not one.active for one in halves.opened)


@pytest.mark.parametrize(("latency", "margin"), [("low", 96), ("high", 960), (0.05, 2400), (0, 96)])
def test_more_delay_on_request(open_stream: OpenStream, latency: Any, margin: int) -> None:
    parts = dict(open_stream(latency=latency).latency.whole.parts)
    assert parts["clock bridge"] == 128 + margin


def test_who_shares_a_clock() -> None:
    jack = "JACK Audio Connection Kit"
    one, other = (Device(index, "x", "Fake", 2, 2, 48e3) for index in (0, 1))
    daw, system = (Device(index, "x", jack, 2, 2, 48e3) for index in (2, 3))
    assert one_clock(one, one)
    assert one_clock(daw, system)
    assert not one_clock(one, other)
    assert not one_clock(one, system)
