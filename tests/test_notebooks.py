"""The notebooks: stored clean, written with public names alone, and right in what they claim."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

import geoseg

nbformat = pytest.importorskip("nbformat", reason="no notebooks: pip install '.[test]'")

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ["1-first-map", "2-losses", "3-weak-labels", "4-composite", "5-coverage"]
OTHERS = {"matplotlib", "numpy", "rasterio"}
MADE = {"geoseg.errors", "geoseg.testing.layouts", "geoseg.testing.scenes"}


@pytest.fixture
def tutorials(monkeypatch):
    """The module that executes notebooks for the site, fresh for each test."""
    spec = importlib.util.spec_from_file_location("tutorials", ROOT / "docs" / "tutorials.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tutorials", module)
    spec.loader.exec_module(module)
    return module


def read(path):
    return nbformat.read(path, as_version=4)


def code_of(notebook):
    """Code of the cells, and code that the text shows."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts.append(cell.source)
        else:
            parts += re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
    return "\n\n".join(parts)


def problems(code):
    """What in a code is neither of the standard library, nor for pictures, nor public in geoseg."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module]
        else:
            modules = []
        for module in modules:
            top = module.partition(".")[0]
            if module in MADE or (module == "geoseg" and isinstance(node, ast.Import)):
                continue
            if top == "geoseg" or top not in OTHERS | sys.stdlib_module_names:
                found.append(module)
        if isinstance(node, ast.Attribute):
            of_geoseg = isinstance(node.value, ast.Name) and node.value.id == "geoseg"
            if (of_geoseg and node.attr not in geoseg.__all__) or node.attr.startswith("_"):
                found.append(node.attr)
    return found


def said(notebook):
    """Everything that was printed."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    return "".join(o.text for o in outputs if o.output_type == "stream")


def number(pattern, text):
    """The one number that stands where a pattern has its group."""
    (found,) = re.findall(pattern, text)
    return float(found)


# -- as they are stored --------------------------------------------------------------------------


def test_there_are_those_that_are_tested():
    assert [path.stem for path in FILES] == NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_outputs_and_counts_are_stripped(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert dict(notebook.metadata.language_info) == {"name": "python"}
    for number_, cell in enumerate(notebook.cells, start=1):
        assert cell.id == f"cell-{number_:02d}"
        assert cell.metadata == {}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_public_names_are_used_alone(path):
    assert problems(code_of(read(path))) == []


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("import geoseg\ngeoseg.predict", []),
        ("import geoseg\ngeoseg.predikt", ["predikt"]),
        ("from geoseg.raster.scene import Scene", ["geoseg.raster.scene"]),
        ("from geoseg import train", ["geoseg"]),
        ("import torch", ["torch"]),
        ("x._hidden", ["_hidden"]),
    ],
)
def test_what_is_not_public_is_found(code, wrong):
    assert problems(code) == wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_links_to_notebooks_lead_somewhere(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert set(re.findall(r"\]\(([^)]+)\)", text)) <= {f"{name}.ipynb" for name in NAMES}


# -- what comes out ------------------------------------------------------------------------------


@pytest.fixture
def outcome(tutorials):
    """Execute a notebook, and return what it printed; also check that it draws and never warns."""

    def of(name):
        notebook = tutorials.executed(ROOT / "notebooks" / f"{name}.ipynb")
        outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
        assert [o.text for o in outputs if o.get("name") == "stderr"] == []
        pictures = tutorials.page(name, notebook).pictures
        assert len(pictures) >= 3
        assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
        return said(notebook)

    return of


@pytest.mark.slow
def test_the_first_map_is_mostly_right(outcome):
    text = outcome("1-first-map")
    assert float(re.findall(r"that are right: ([\d.]+)%", text)[0]) > 75
    assert number(r"mean IoU: ([\d.]+)", text) > 0.35
    shares = [int(share) for share in re.findall(r"confidence .+?: (\d+)%", text)]
    assert shares == sorted(shares)
    assert shares[-1] > 85


@pytest.mark.slow
def test_lovasz_finds_more_of_the_rare_classes_than_cross_entropy(outcome):
    text = outcome("2-losses").partition("validation)\n")[2]
    scores = dict(re.findall(r"^(.+?) +accuracy [\d.]+, mean IoU ([\d.]+)$", text, re.MULTILINE))
    assert float(scores["+ Lovász, equibatch"]) > float(scores["cross entropy"]) + 0.03


@pytest.mark.slow
def test_weak_labels_are_mostly_right_and_make_a_map(outcome):
    text = outcome("3-weak-labels")
    assert number(r"weak labels that are right: (\d+)%", text) > 80
    assert number(r"from weak labels: accuracy ([\d.]+)", text) > 0.78


@pytest.mark.slow
def test_the_composite_loses_the_clouds_and_images_their_seams(outcome):
    text = outcome("4-composite")
    with_clouds = number(r"median of all readings +mean difference from the ground +(\d+)", text)
    without = number(r"median of clear readings +mean difference from the ground +(\d+)", text)
    assert without < with_clouds / 3
    before, after = re.search(r"([\d.]+) before, ([\d.]+) after", text).groups()
    assert float(after) < float(before) / 5


@pytest.mark.slow
def test_coverage_of_the_map_is_near_that_of_the_truth(outcome):
    text = outcome("5-coverage")
    assert number(r"mean difference: ([\d.]+) points", text) < 9
    assert number(r"cells whose stage is right: (\d+)%", text) > 70
    stages = ast.literal_eval(re.search(r"photographs by stage: (\{.+\})", text)[1])
    assert [stages[stage] for stage in ("I", "II", "III", "IV", "V")] == [3] * 5


# -- how they are executed and shown -------------------------------------------------------------


@pytest.fixture
def small(tutorials, tmp_path, monkeypatch):
    """A notebook of two cells, and a folder of its own for what is kept."""
    monkeypatch.setattr(tutorials, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(tutorials, "KEPT", tmp_path / "kept")
    tally = tmp_path / "tally"

    def write(code="1 + 1"):
        cells = [
            nbformat.v4.new_markdown_cell("# Small\n\nSee [the other](other.ipynb).", id="a"),
            nbformat.v4.new_code_cell(f"open({str(tally)!r}, 'a').write('x'); {code}", id="b"),
        ]
        path = tmp_path / "small.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write, tally


@pytest.mark.slow
def test_a_notebook_is_executed_once_for_its_contents(tutorials, small, monkeypatch):
    write, tally = small
    monkeypatch.setattr(tutorials, "_package_hash", lambda: "now")
    for _ in range(2):
        done = tutorials.executed(write("6 * 7"))
        assert done.cells[1].outputs[0].data["text/plain"] == "42"
    assert tally.read_text() == "x"
    tutorials.executed(write("6 * 70"))
    assert tally.read_text() == "xx"
    assert len(list(tutorials.KEPT.iterdir())) == 1  # the older one is gone

    monkeypatch.setattr(tutorials, "_package_hash", lambda: "later")
    (made,) = tutorials.tutorials()
    assert tally.read_text() == "xx"  # good enough for a page
    assert made.markdown.startswith("# Small\n\n*This page is a notebook")
    assert "(small.ipynb)" in made.markdown
    assert "[the other](other.md)" in made.markdown
    assert "420" in made.markdown
    tutorials.executed(tutorials.NOTEBOOKS / "small.ipynb")
    assert tally.read_text() == "xxx"


@pytest.mark.slow
def test_a_notebook_that_fails_is_an_error_and_nothing_is_kept(tutorials, small):
    write, _ = small
    with pytest.raises(Exception, match="ZeroDivisionError"):
        tutorials.executed(write("1 / 0"))
    assert not tutorials.KEPT.exists()


def test_what_is_kept_depends_on_the_package_and_its_libraries(tutorials, tmp_path, monkeypatch):
    package = tmp_path / "geoseg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(geoseg, "__file__", str(package / "__init__.py"))
    found = [tutorials._package_hash()]
    (package / "new.py").write_text("x = 1")
    found.append(tutorials._package_hash())
    (package / "new.py").rename(package / "other.py")
    found.append(tutorials._package_hash())
    monkeypatch.setattr(tutorials, "version", lambda _: "0")
    found.append(tutorials._package_hash())
    assert len(set(found)) == 4
    assert found[-1] == tutorials._package_hash()
