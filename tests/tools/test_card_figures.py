"""A card's figures are those that the evaluation wrote."""

import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "card_figures"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def group(n: int, gain: float) -> dict[str, float]:
    return {
        "n": n,
        "si_sdr_mean": gain + 1,
        "si_sdri_mean": gain,
        "si_sdri_median": gain - 1,
        "sdri_mean": 7,
    }


def test_figures_stand_between_the_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    found = {
        **group(5, 4.0),
        "n_absent": 2,
        "absent_attenuation_db_mean": 15.94,
        "by_n_sources": {"2": group(3, 4.0)},
        "by_class": {"cow": group(1, -2.0), "tom_drum": group(2, 9.0)},
    }
    figures, card = tmp_path / "figures.json", tmp_path / "card.md"
    figures.write_text(json.dumps(found))
    card.write_text("# solo\n\n<!-- figures -->\nold\n<!-- end of figures -->\n\nand so on\n")
    assert run("--check", figures, card).returncode == 1
    assert run(figures, card).returncode == 0
    text = card.read_text()
    assert text.startswith("# solo\n\n<!-- figures -->\n| mixtures |")
    assert text.endswith("<!-- end of figures -->\n\nand so on\n")
    assert "old" not in text
    assert "| all with a target | 3 | 5.00 | 4.00 | 3.00 | 7.00 |" in text
    assert "(2 mixtures) is attenuated by 15.9 dB" in text
    assert "| tom drum | 2 | 9.0 | cow | 1 | -2.0 | | | | | | |" in text
    assert run("--check", figures, card).returncode == 0


def test_a_card_without_marks_is_left_alone(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("# solo\n")
    (tmp_path / "figures.json").write_text("{}")
    done = run(tmp_path / "figures.json", card)
    assert done.returncode == 2
    assert "lacks" in done.stderr
    assert card.read_text() == "# solo\n"
