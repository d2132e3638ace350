"""`soloist separate --offline`: a recording by the inference that a system was published with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="--offline runs the networks themselves")

from soloist.app import options  # noqa: E402
from soloist.separators import prompts  # noqa: E402
from soloist.separators.clipsep import CLIPSep  # noqa: E402
from soloist.separators.linking import link  # noqa: E402
from soloist.separators.log_picture import Geometry  # noqa: E402
from soloist.separators.whole_file import separate_whole  # noqa: E402

Run = Callable[..., Any]
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def network() -> CLIPSep:
    torch.manual_seed(2)
    network = CLIPSep(Geometry(maps=6, levels=5))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, 0.2)
    torch.nn.init.constant_(network.sound_net.bn0.get_buffer("running_var"), 9.0)
    return network.eval()


@pytest.fixture(scope="module")
def folder(network: CLIPSep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clipsep")
    torch.save(network.state_dict(), folder / "clipsep.pt")
    for seed, name in enumerate(["violin", "speech"]):
        row = 0.45 * np.random.default_rng(seed).standard_normal(512)
        np.save(folder / f"{name}.npy", row.astype(np.float32))
    return folder


@pytest.fixture
def asked(folder: Path) -> list[str]:
    return ["--offline", "-m", f"{folder}/clipsep.pt", "--query-embedding", f"{folder}/violin.npy"]


def expected(network: CLIPSep, folder: Path, audio: Any, threshold: float | None) -> Any:
    words = network.condition(torch.from_numpy(np.load(folder / "violin.npy"))[None]).detach()
    stems = [
        separate_whole(network, channel, words, threshold=threshold)
        for channel in torch.from_numpy(audio.T.astype(np.float32))
    ]
    return torch.stack(stems, dim=1)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_it_is_the_published_inference(
    soloist: Run,
    recording: Make,
    network: CLIPSep,
    folder: Path,
    asked: list[str],
    threshold: float | None,
) -> None:
    source = recording(rate=16000, seconds=1.0, subtype="FLOAT")
    target = source.with_name("out.wav")
    line = [*asked, *(["--threshold", threshold] if threshold else [])]
    assert soloist("separate", source, target, *line).code == 0
    audio = soundfile.read(source, always_2d=True)[0]
    stem = expected(network, folder, audio, threshold)[0]
    found = soundfile.read(target, always_2d=True)[0]
    np.testing.assert_allclose(found, stem.T, atol=1e-5)
    rest = source.with_name("rest.wav")
    assert soloist("separate", source, rest, *line, "--remove").code == 0
    np.testing.assert_allclose(soundfile.read(rest, always_2d=True)[0] + found, audio, atol=1e-5)


def test_stems_of_stereo_at_another_rate_sum_to_the_recording(
    soloist: Run, recording: Make, folder: Path, asked: list[str]
) -> None:
    source = recording(rate=44100, channels=2, seconds=0.5, subtype="FLOAT")
    more = ["--query-embedding", f"talk={folder}/speech.npy"]
    assert soloist("separate", source, source.with_name("out.wav"), *asked, *more).code == 0
    names = ["out-violin.wav", "out-talk.wav", "out-residual.wav"]
    stems = [soundfile.read(source.with_name(name))[0] for name in names]
    audio = soundfile.read(source)[0]
    assert stems[0].shape == audio.shape
    np.testing.assert_allclose(sum(stems), audio, atol=1e-5)
    assert all(stem.std() > 0.005 for stem in stems)


def test_linked_channels_share_a_mask(
    soloist: Run, recording: Make, network: CLIPSep, folder: Path, asked: list[str]
) -> None:
    source = recording(rate=16000, channels=2, seconds=1.0, subtype="FLOAT")
    audio = soundfile.read(source, dtype="float32")[0]
    own = expected(network, folder, audio, None)
    for flag, stems in (
        ("--independent", own),
        ("--linked", link(own, torch.from_numpy(np.ascontiguousarray(audio.T)))),
    ):
        target = source.with_name(f"out{flag}.wav")
        assert soloist("separate", source, target, *asked, flag).code == 0
        np.testing.assert_allclose(soundfile.read(target)[0], stems[0].T, atol=1e-5)


def test_linking_finds_the_mask_that_all_channels_had() -> None:
    """A gain common to both channels stays; opposite channels do not cancel."""
    audio = torch.randn(1, 8000)
    mixture = torch.cat([audio, -0.5 * audio])
    torch.testing.assert_close(link(0.3 * mixture[None], mixture)[0], 0.3 * mixture)
    one_sided = torch.stack([mixture[0], torch.zeros(8000)])[None]
    torch.testing.assert_close(link(one_sided, mixture)[0], 0.8 * mixture)  # 1 / (1 + 0.25)


def test_levels(soloist: Run, recording: Make, asked: list[str]) -> None:
    source = recording(rate=16000, subtype="FLOAT")
    audio = soundfile.read(source)[0]
    outputs = {}
    for name, line in {"keep": [], "up": ["--gain", "6", "--rest", "0"]}.items():
        target = source.with_name(f"{name}.wav")
        assert soloist("separate", source, target, *asked, *line).code == 0
        outputs[name] = soundfile.read(target)[0]
    gained = audio + (10 ** (6 / 20) - 1) * outputs["keep"]
    np.testing.assert_allclose(outputs["up"], gained, atol=1e-5)


def test_what_is_not_wanted_is_taken_off(
    soloist: Run, recording: Make, network: CLIPSep, folder: Path
) -> None:
    source = recording(rate=16000, seconds=1.0, subtype="FLOAT")
    target = source.with_name("out.wav")
    line = ["--offline", "-m", f"{folder}/clipsep.pt", "-q", f"file:{folder}/violin.npy"]
    line += ["--not", f"0.5*file:{folder}/speech.npy"]
    assert soloist("separate", source, target, *line).code == 0
    violin, speech = (np.load(folder / f"{name}.npy") for name in ("violin", "speech"))
    left = violin - 0.5 * speech
    left *= np.linalg.norm(violin) / np.linalg.norm(left)
    words = network.condition(torch.from_numpy(left)[None]).detach()
    audio = torch.from_numpy(soundfile.read(source, dtype="float32")[0])
    stem = separate_whole(network, audio, words)[0]
    np.testing.assert_allclose(soundfile.read(target)[0], stem, atol=1e-5)


def test_prompts_are_those_of_the_encoder() -> None:
    assert tuple(prompts.PROMPTS) == options.PROMPTS


def test_what_cannot_be(soloist: Run, toy: str, recording: Make, asked: list[str]) -> None:
    source = recording()
    for line, complaint in (
        (["--offline", "-m", toy], "is a bundle"),
        (["--offline", "-m", "nowhere.pt"], "no checkpoint 'nowhere.pt'"),
        ([*asked, "--advance", "16"], "--advance is of live play"),
        ([*asked, "--device", "cuda"], "--offline runs on the CPU, not on 'cuda'"),
        ([*asked, "--prompts", "nonsense"], "'nonsense' is none of photo, plain, ensemble"),
        (["-m", toy, "--threshold", "0.5"], "are for --offline"),
        (["--offline"], "no checkpoint 'solo'"),
    ):
        assert complaint in soloist("separate", source, "out.wav", *line).refusal
