"""The package is what pyproject.toml says it is, and keeps to its floors' manners."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import soloist

ROOT = Path(__file__).parent.parent
NOT_SHIPPED = {"docs", "examples", "tests", "tools"}

with open(ROOT / "pyproject.toml", "rb") as file:
    PYPROJECT = tomllib.load(file)


def code_folders() -> list[Path]:
    return sorted(p.parent for p in ROOT.glob("[a-z]*/**/__init__.py") if ".venv" not in p.parts)


def test_every_folder_of_code_is_listed() -> None:
    # An editable install finds an unlisted folder all the same; only the wheel would lack it.
    on_disk = {
        ".".join(["soloist", *folder.relative_to(ROOT).parts])
        for folder in code_folders()
        if folder.relative_to(ROOT).parts[0] not in NOT_SHIPPED | {"build"}
    }
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == {"soloist", *on_disk}


def shipped_files() -> list[Path]:
    folders = [f for f in code_folders() if f.relative_to(ROOT).parts[0] != "build"]
    return [p for folder in folders for p in sorted(folder.glob("*.py"))]


def test_folders_import_each_other_relatively() -> None:
    # Absolute imports inside the package would load a second copy when run from the root.
    for path in shipped_files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert not [n for n in names if n.split(".")[0] == "soloist"], path


def test_the_engine_knows_no_device() -> None:
    for path in (ROOT / "streaming").glob("*.py"):
        assert "from .live" not in path.read_text("utf-8"), path


def test_no_conftest_and_no_package_where_pytest_would_trip() -> None:
    assert not (ROOT / "conftest.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_versions_agree() -> None:
    version = PYPROJECT["project"]["version"]
    assert soloist.__version__ == version
    released = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert released is not None and released[1] == version


def test_the_face_is_complete_and_sorted() -> None:
    assert soloist.__all__ == sorted(soloist.__all__)
    for name in soloist.__all__:
        assert getattr(soloist, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        soloist.nothing  # noqa: B018


def test_importing_soloist_loads_nothing() -> None:
    code = (
        "import sys, soloist;"
        "print(*sorted({m.split('.')[0] for m in sys.modules}"
        " & {'torch', 'onnxruntime', 'numpy', 'sounddevice', 'typer', 'rich'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_the_wheel_carries_code_and_data_and_nothing_else(tmp_path: Path) -> None:
    # Built from a copy: an in-tree build leaves build/ inside the package.
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    copy = tmp_path / "copy"
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", str(copy)],
        cwd=tmp_path,
        check=True,
    )
    (wheel,) = tmp_path.glob("soloist-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {n.split("/")[1] for n in names if n.startswith("soloist/")}
    assert {"py.typed", "__init__.py", "app", "runtime", "streaming"} <= shipped
    assert not shipped & {*NOT_SHIPPED, "README.md", "Makefile", "pyproject.toml"}
    assert "soloist/app/assets/mixture.flac" in names
    folders = [ROOT / "runtime" / name for name in ("encoders", "models")]
    data = {f"soloist/{p.relative_to(ROOT)}" for folder in folders for p in folder.glob("*")}
    assert data <= {*names}
    assert not [n for n in names if n.endswith((".pyc", ".wav"))]
