"""Files of settings: what they give, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from soloist.training.recipes.clipsep import Family
from soloist.training.settings import SettingsError, read_settings


def read(folder: Path, text: str) -> Family:
    path = folder / "run.toml"
    path.write_text(text)
    return read_settings(path, Family)


def test_paths_are_relative_to_the_file_and_tables_are_the_recipes_own(tmp_path: Path) -> None:
    text = 'manifest = "data/m.csv"\nsteps = 5000\n[network]\nmaps = 16\n'
    found = read(tmp_path, text + '[queries]\nimages = "frames.npz"\n')
    assert found.manifest == tmp_path / "data" / "m.csv"
    assert found.mixtures is None
    assert found.queries.images == tmp_path / "frames.npz"
    assert (found.steps, found.network.maps, found.network.levels) == (5000, 16, 7)
    assert found.network.geometry.front.frames == 256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "manifest is missing"),
        ("manifest = ", "are no TOML"),
        ('manifest = "m"\nstep = 3', "step is no setting of this recipe"),
        ('manifest = "m"\nsteps = 0', "steps: .*greater than or equal to 1, found 0"),
        ('manifest = "m"\n[network]\nlevels = "many"', "network.levels: .*integer.*'many'"),
        ('manifest = "m"\n[network]\nframes = 100', "100 frames cannot be halved 7 times"),
        ('manifest = "m"\nsteps = 10', "warm_up 100 and cool_down 1000 do not fit into 10 steps"),
        ('manifest = "m"\n[queries]\nmode = "smell"', "queries.mode: .*'smell'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the settings .*nothing\.toml"):
        read_settings(tmp_path / "nothing.toml", Family)
