"""The documentation: a page for every command, and what stands on the pages is true."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from geoseg import cli
from geoseg.cli import _run
from geoseg.testing import demo

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def loaded(path):
    """Load a file of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = loaded(DOCS / "reference.py")


def command_lines(text):
    """Words of every command line of geoseg in a text, those that go on in the next line joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = re.findall(r"^(?:\$ )?geoseg (.+)$", joined, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def fenced(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "inputs"
    loaded(DOCS / "examples" / "inputs.py").make(folder)
    return folder


@pytest.fixture
def here(inputs, tmp_path, monkeypatch):
    """Stand in a folder of our own with the files that examples begin with."""
    folder = tmp_path / "inputs"
    shutil.copytree(inputs, folder)
    monkeypatch.chdir(folder)
    return folder


# -- a page a command ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_every_command_has_a_page_that_describes_every_option(name):
    page = reference.command_page(name)
    parent = click.Context(cli.geoseg, info_name="geoseg")
    command = cli.geoseg.get_command(parent, name)
    for parameter in command.get_params(click.Context(command, info_name=name, parent=parent)):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.opts[0] in page
            assert parameter.help, f"{parameter.opts[0]} of geoseg {name} has no help"
    assert f"geoseg {name} " in page.partition("## Usage")[0]
    assert f"({name}.md)" in reference.commands_index()


def test_a_command_without_help_or_without_an_example_makes_no_page(monkeypatch, tmp_path):
    bare = click.Command("info")
    monkeypatch.setattr(reference.program, "get_command", lambda *_: bare)
    with pytest.raises(ValueError, match="info has no help"):
        reference.command_page("info")
    monkeypatch.setattr(reference, "EXAMPLES", tmp_path)
    with pytest.raises(FileNotFoundError):
        reference.example("info")


def test_a_function_of_the_name_of_a_command_is_on_its_page():
    assert "python.md#geoseg-tile" in reference.command_page("tile")
    sections = reference.function_sections()
    for name in reference.functions():
        assert f"{{ #geoseg-{name} }}" in sections
    assert "`nodata`\n:   Value that means" in sections


# -- what stands there works ---------------------------------------------------------------------


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_the_example_of_a_command_runs(name, here, monkeypatch, capsys):
    monkeypatch.setattr(demo, "_HEIGHT", 300)
    monkeypatch.setattr(demo, "_WIDTH", 300)
    monkeypatch.setenv("GEOSEG_MODEL", str(here / "model.safetensors"))
    lines = command_lines(reference.example(name))
    assert name in [words[0] for words in lines]
    for words in lines:
        before = set(here.rglob("*"))
        assert _run(words) == 0, capsys.readouterr().err
        assert words[0] in ("info", "evaluate") or set(here.rglob("*")) > before


def test_errors_are_those_that_are_described(here, capsys):
    blocks = fenced(DOCS / "troubleshooting.md", "text")
    assert (
        _run(["tile", "scene.tif", "--labels", "labels.tif", "--size", "32", "-o", "patches"]) == 0
    )
    capsys.readouterr()
    for block in blocks:
        typed, _, said = block.strip().partition("\n")
        assert _run(shlex.split(typed.removeprefix("$ geoseg "))) in (1, 2)
        assert capsys.readouterr().err.strip().splitlines()[-1] == said


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *PAGES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_command_lines_use_options_that_there_are(page):
    parent = click.Context(cli.geoseg, info_name="geoseg")
    blocks = fenced(page, "sh")
    for words in command_lines("\n".join(re.sub(r"^    ", "", b, flags=re.M) for b in blocks)):
        command = cli.geoseg.get_command(parent, words[0])
        assert command is not None, words
        command.make_context(words[0], words[1:], parent=parent)


def test_the_python_of_the_pages_runs(here):
    (*blocks,) = fenced(DOCS / "python.md", "python")
    blocks += fenced(DOCS / "extend" / "network.md", "python")
    blocks += fenced(DOCS / "extend" / "sensor.md", "python")
    check = (
        "from geoseg.models.registry import build\nimport torch\n"
        "net = build('mine', in_channels=2, classes=3, width=4)\n"
        "assert net(torch.zeros(1, 2, 5, 7)).shape == (1, 3, 5, 7)\n"
    )
    # In a process of its own: a name that is registered stays so.
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*blocks, check])],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(256, 256)" in done.stdout
    assert done.stdout.endswith("nir\n")


def test_the_loss_has_one_source():
    marks = re.findall(r"<!-- readme: (.+?) -->", (DOCS / "extend/loss.md").read_text("utf-8"))
    assert [reference.readme_block(mark).count("def dice") for mark in marks] == [1]


def test_pictures_are_shown_few_and_small():
    pictures = sorted(DOCS.rglob("*.png"))
    shown = [
        ROOT / "docs" / name
        for page in PAGES
        for name in re.findall(r"\]\(([^)]+png)\)", page.read_text("utf-8"))
    ]
    assert set(shown) == set(pictures)
    assert len(pictures) <= 6
    assert max(path.stat().st_size for path in pictures) < 250_000
    assert tuple(path.stem for path in pictures) == loaded(DOCS / "pictures.py").NAMES


# -- the site ------------------------------------------------------------------------------------


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None,
    reason="the site is not built: pip install '.[docs]'",
)
def test_the_site_builds_strictly_with_all_pages(tmp_path):
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in cli._COMMANDS:
        assert "An example that runs" in (site / "commands" / name / "index.html").read_text(
            "utf-8"
        )
    html = (site / "extend" / "loss" / "index.html").read_text("utf-8")
    assert "LossContext" in html
    assert "geoseg-predict_array" in (site / "python" / "index.html").read_text("utf-8")
    linked = (site / "results").iterdir()
    assert {p.name for p in linked} >= {p.stem for p in (ROOT / "benchmarks/results").glob("*.md")}
