"""What is built of the tree holds what it should, is the same each time, and works far from it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LEFT_OUT = shutil.ignore_patterns(
    ".*_cache", ".git", ".hypothesis", ".venv", "*.egg-info", "*.nb[ci]", "__pycache__"
)
"""What checks leave behind."""
IN_SDIST = ("benchmarks", "docs", "geoseg", "notebooks", "pipelines", "requirements", "tests")


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


closure = loaded(ROOT / ".ci" / "closure.py")


def copied(folder: Path, tree: Path = ROOT) -> Path:
    """Copy the tree: setuptools takes up what earlier builds left beside it."""
    folder.mkdir()
    for name in (*IN_SDIST, ".ci"):
        shutil.copytree(tree / name, folder / name, ignore=LEFT_OUT)
    for path in tree.iterdir():
        if path.is_file():
            shutil.copy2(path, folder)
    return folder


def built(tree: Path, target: Path, *kinds: str) -> list[Path]:
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", target, tree],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(target.iterdir())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it was when its archives were built."""
    return copied(tmp_path_factory.mktemp("source") / "tree")


@pytest.fixture(scope="module")
def archives(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source distribution, and a wheel built of it."""
    wheel, sdist = built(tree, tmp_path_factory.mktemp("built") / "dist")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("installed") / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", folder, archives[1]], check=True, capture_output=True)
    return folder


def files_below(tree: Path, name: str) -> set[str]:
    return {
        path.relative_to(tree).as_posix()
        for path in (tree / name).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.suffix not in {".pyc", ".nbc", ".nbi"}
    }


# -- archives ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_wheel_holds_the_package_whole_and_nothing_else(
    tree: Path, archives: tuple[Path, Path]
) -> None:
    with zipfile.ZipFile(archives[1]) as wheel:
        names = set(wheel.namelist())
    own = {name for name in names if not name.startswith("geoseg-")}
    assert own == files_below(tree, "geoseg")
    assert {"geoseg/py.typed", "geoseg/__init__.pyi"} <= own
    assert any(name.startswith("geoseg/models/weights/") for name in own)
    (info,) = {name.split("/")[0] for name in names - own}
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= names


@pytest.mark.slow
def test_a_wheel_says_what_it_needs(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[1]) as wheel:
        (name,) = [each for each in wheel.namelist() if each.endswith("/METADATA")]
        said = Parser().parsestr(wheel.read(name).decode())
    assert said["Requires-Python"] == PROJECT["requires-python"]
    assert said["License-Expression"] == "Apache-2.0"
    always = [need for need in said.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert {str(Requirement(need)) for need in always} == {
        str(Requirement(need)) for need in PROJECT["dependencies"]
    }
    assert set(said.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


@pytest.mark.slow
def test_a_source_distribution_holds_all_that_a_checkout_holds(
    tree: Path, archives: tuple[Path, Path]
) -> None:
    with tarfile.open(archives[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for folder in (*IN_SDIST, ".ci"):
        assert files_below(tree, folder) - names == set()
    assert {"Makefile", "mkdocs.yml", "README.md", "CHANGELOG.md", "ARCHITECTURE.md"} <= names


@pytest.mark.slow
def test_a_wheel_of_the_tree_is_the_same_bytes_as_one_of_the_source_distribution(
    tree: Path, archives: tuple[Path, Path], tmp_path: Path
) -> None:
    (wheel,) = built(copied(tmp_path / "elsewhere", tree), tmp_path / "dist", "--wheel")
    assert wheel.name == archives[1].name
    assert wheel.read_bytes() == archives[1].read_bytes()


# -- installed, far from the tree ----------------------------------------------------------------


RECIPE = """
title = "Patches"

[[step]]
run = "tile"
arguments = ["{data}/scene.tif"]
output = "{out}/patches"

[step.options]
labels = "{data}/labels.tif"
"""


def said_by(site: Path, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_what_is_installed_works_far_from_the_tree(installed: Path, tmp_path: Path) -> None:
    where = said_by(installed, tmp_path, "-c", "import geoseg; print(geoseg.__file__)").strip()
    assert Path(where) == installed / "geoseg" / "__init__.py"
    geoseg = ("-m", "geoseg")
    assert "predict" in said_by(installed, tmp_path, *geoseg, "--help")
    assert PROJECT["version"] in said_by(installed, tmp_path, *geoseg, "--version")
    said_by(installed, tmp_path, *geoseg, "demo", "demo")
    assert "pixels" in said_by(installed, tmp_path, *geoseg, "info", "demo/map.tif")
    # A recipe is a file of the user's own, found by its path alone.
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    words = ("run", "recipe.toml", "--data", "demo", "-o", "results", "--dry-run")
    assert "patches" in said_by(installed, tmp_path, *geoseg, *words)
    assert not (tmp_path / "results" / "patches").exists()


# -- what is needed ------------------------------------------------------------------------------


def names_of(needs: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(need).name) for need in needs}


def test_lowest_versions_are_those_of_pyproject() -> None:
    text = (ROOT / "requirements" / "lowest.txt").read_text(encoding="utf-8")
    pinned = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert pinned == closure.lowest_pins(), "run `make requirements`"


def test_what_runs_has_a_lower_and_an_upper_bound() -> None:
    for text in closure.wanted():
        operators = {spec.operator for spec in Requirement(text).specifier}
        assert operators == {">=", "<"}, text


def test_tests_have_all_that_users_may_ask_for() -> None:
    optional = PROJECT["optional-dependencies"]
    test = {str(Requirement(need)) for need in optional["test"]}
    for extra in (*closure.FOR_USERS, "docs"):
        assert {str(Requirement(need)) for need in optional[extra]} <= test, extra


def test_the_page_of_dependencies_names_each() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[([\w.-]+)\]\(https://\S+\) \|(.+)\|$", page, flags=re.MULTILINE)
    named = [canonicalize_name(name) for name, _ in rows]
    assert len(named) == len(set(named))
    assert set(named) == names_of(closure.wanted())
    for name, rest in rows:
        _, said, _ = (cell.strip() for cell in rest.split("|"))
        assert closure.allowed(said), f"{name}: {said}"


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-2.0-only OR MIT AND BSD-3-Clause", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH LLVM-exception", False),
        ("Apache-2.0 WITH Other-exception", False),
        ("(MIT OR GPL-3.0-only) AND Zlib", False),
        ("(MIT OR BSD-3-Clause) AND Zlib", True),
        ("", False),
        ("none said", False),
    ],
)
def test_licences_that_are_allowed(expression: str, fine: bool) -> None:
    assert closure.allowed(expression) == fine


def test_what_is_installed_here_is_under_licences_that_are_allowed() -> None:
    found, _ = closure.closure(closure.wanted())
    wrong = {
        name: said
        for name, each in found.items()
        if not closure.CARDS.fullmatch(name) and not closure.allowed(said := closure.licence(each))
    }
    assert wrong == {}


def test_needs_of_needs_are_followed_and_tools_are_not() -> None:
    found, missing = closure.closure(["rasterio", "no-such-package-of-anybody"])
    assert {"rasterio", "affine", "numpy"} <= set(found)
    assert "pytest" not in found
    assert missing == ["no-such-package-of-anybody"]
