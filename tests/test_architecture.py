"""The house keeps its shape: what each floor may import, and what starting costs."""

from __future__ import annotations

import ast
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "geoseg"

# Who stands on which floor. What is not named here has no place yet: give it one.
FLOORS: dict[str, int] = {
    "geoseg": 0,  # the version
    "geoseg.errors": 0,
    # Tools that know nothing of the field.
    "geoseg.cluster": 1,
    "geoseg.jit": 1,
    "geoseg.locks": 1,
    "geoseg.processors": 1,
    "geoseg.registry": 1,
    "geoseg.terms": 1,
    "geoseg.raster": 2,
    "geoseg.compositing": 3,
    "geoseg.report": 3,
    "geoseg.patches": 4,
    "geoseg.models": 4,
    "geoseg.training": 5,
    "geoseg.inference": 5,
    "geoseg.assessment": 6,
    "geoseg.recipe": 7,
    "geoseg.testing": 7,
    "geoseg.api": 8,  # paths in, files out
    "geoseg.cli": 8,
    "geoseg.__main__": 8,
}

# Third parties, and the only places that may import them.
FENCES: dict[str, tuple[str, ...]] = {
    "rasterio": ("geoseg.raster",),
    "affine": ("geoseg.raster",),
    "geopandas": ("geoseg.raster.vector",),
    "pyogrio": ("geoseg.raster.vector", "geoseg.raster.polygons.files"),
    "shapely": (
        "geoseg.raster.vector",
        "geoseg.raster.cover",
        "geoseg.raster.labels",
        "geoseg.raster.placing",
        "geoseg.raster.polygons.files",
    ),
    "pandas": ("geoseg.raster.vector",),
    "numba": ("geoseg.jit",),
    "scipy": (),  # the tests' alone
    "torch": ("geoseg.models", "geoseg.training", "geoseg.inference", "geoseg.testing"),
    "safetensors": ("geoseg.models",),
    "click": ("geoseg.cli",),
    "tqdm": ("geoseg.cli",),
    "matplotlib": ("geoseg.report",),
    "PIL": ("geoseg.report.photographs",),
    "torchvision": ("geoseg.models",),
    "segmentation_models_pytorch": ("geoseg.models",),
    "timm": ("geoseg.models",),
    "tensorboard": ("geoseg.training.report.board",),
    "onnx": ("geoseg.models",),
    "onnxruntime": ("geoseg.models",),
    "obstore": ("geoseg.raster.opening.objects",),
    "dask": ("geoseg.cluster",),
    "distributed": ("geoseg.cluster",),
    "ee": ("geoseg.compositing.earthengine",),
    "googleapiclient": ("geoseg.compositing.earthengine",),
    "httplib2": ("geoseg.compositing.earthengine",),
    "requests": ("geoseg.compositing.earthengine",),
}

HEAVY = ("torch", "rasterio", "geopandas", "pyogrio", "numba", "numpy", "scipy", "shapely")


@dataclass(frozen=True)
class Import:
    """One import statement of one module."""

    importer: str
    imported: str
    line: int
    lazy: bool
    """Whether it stands in a function, and so runs only when that does."""
    typed: bool
    """Whether only the type checker reads it."""

    def __str__(self) -> str:
        return f"{self.importer} line {self.line} imports {self.imported}"


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


class _Reader(ast.NodeVisitor):
    def __init__(self, name: str, is_package: bool, modules: frozenset[str]) -> None:
        self.name, self.modules = name, modules
        self.package = name if is_package else name.rpartition(".")[0]
        self.found: list[Import] = []
        self.depth = self.typed = 0

    def add(self, imported: str, line: int) -> None:
        lazy = self.depth + self.typed > 0
        self.found.append(Import(self.name, imported, line, lazy, self.typed > 0))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        for alias in node.names:
            # "from package import module" imports the module as well.
            inner = f"{base}.{alias.name}"
            self.add(inner if inner in self.modules else base, node.lineno)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 — ast's name

    def visit_If(self, node: ast.If) -> None:
        # What only the type checker reads makes no circle at run time, but may be an arrow upwards.
        typed = is_type_checking(node.test)
        self.typed += typed
        for child in node.body:
            self.visit(child)
        self.typed -= typed
        for child in node.orelse:
            self.visit(child)


def imports_of(root: Path) -> list[Import]:
    files = sorted(root.rglob("*.py"))
    modules = frozenset(module_name(path, root) for path in files)
    found: list[Import] = []
    for path in files:
        reader = _Reader(module_name(path, root), path.name == "__init__.py", modules)
        reader.visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
        found += reader.found
    return found


def belongs(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def floor_of(module: str, floors: Mapping[str, int]) -> int:
    """Floor of a module: that of the longest name that holds it."""
    if module in floors:
        return floors[module]
    top = ".".join(module.split(".")[:2])
    if top not in floors:
        raise AssertionError(f"{module} stands on no floor: give {top} one in FLOORS")
    return floors[top]


def upward(imports: list[Import], floors: Mapping[str, int]) -> list[str]:
    return [
        str(i)
        for i in imports
        if belongs(i.imported, "geoseg")
        and floor_of(i.imported, floors) > floor_of(i.importer, floors)
    ]


def over_the_fence(imports: list[Import], fences: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [
        str(i)
        for i in imports
        for party, places in fences.items()
        if belongs(i.imported, party) and not any(belongs(i.importer, p) for p in places)
    ]


def circle(edges: Iterator[tuple[str, str]]) -> list[str]:
    graph: dict[str, set[str]] = {}
    for a, b in edges:
        if a != b:
            graph.setdefault(a, set()).add(b)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def house(module: str) -> str:
    return ".".join(module.split(".")[:2])


def room(module: str) -> str:
    """A module that stands by itself in its house, or the folder that it lies in."""
    return ".".join(module.split(".")[:3])


IMPORTS = imports_of(PACKAGE)
INSIDE = [i for i in IMPORTS if belongs(i.imported, "geoseg")]


def test_no_import_runs_up_a_floor() -> None:
    assert upward(IMPORTS, FLOORS) == []


def test_packages_import_each_other_in_no_circle() -> None:
    assert circle((house(i.importer), house(i.imported)) for i in INSIDE) == []


def test_modules_import_each_other_in_no_circle_be_it_in_a_function() -> None:
    assert circle((i.importer, i.imported) for i in INSIDE if not i.typed) == []


def test_folders_and_the_modules_beside_them_import_each_other_in_no_circle() -> None:
    assert circle((room(i.importer), room(i.imported)) for i in INSIDE if not i.typed) == []


def test_third_parties_stay_behind_their_fences() -> None:
    assert over_the_fence(IMPORTS, FENCES) == []


def test_commands_import_only_click_and_the_shared_options_before_they_run() -> None:
    # `away` tells addresses from paths: errors and the standard library are all that it imports.
    light = ("geoseg.errors", "geoseg.cli", "geoseg.raster.outputs.away")
    allowed = (*sys.stdlib_module_names, "click", *light)
    wrong = [
        str(i)
        for i in IMPORTS
        if belongs(i.importer, "geoseg.cli")
        and not i.lazy
        and i.imported != "geoseg"
        and not any(belongs(i.imported, name) for name in allowed)
    ]
    assert wrong == []


def test_no_file_grows_beyond_400_lines() -> None:
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in PACKAGE.rglob("*.py")}
    assert {str(p.relative_to(PACKAGE)): n for p, n in lengths.items() if n > 400} == {}


# -- that the reader of imports sees what it should ----------------------------------------------


def write(root: Path, files: Mapping[str, str]) -> Path:
    package = root / "geoseg"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        (path.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    return package


def test_an_upward_import_is_seen_wherever_it_hides(tmp_path: Path) -> None:
    found = imports_of(
        write(
            tmp_path,
            {
                "raster/a.py": "from geoseg.patches import tiling\n",
                "raster/b.py": "def f():\n    import geoseg.models.card\n",
                "raster/c.py": "from ..patches.tiling import starts\n",
                "raster/d.py": "if TYPE_CHECKING:\n    from geoseg import patches\n",
                "raster/e.py": "from .a import x\nfrom geoseg.errors import GeosegError\n",
                "patches/tiling.py": "from geoseg.raster import a\n",
                "models/card.py": "",
                "errors.py": "",
            },
        )
    )
    assert [text.split()[0] for text in upward(found, FLOORS)] == [
        f"geoseg.raster.{name}" for name in "abcd"
    ]


def test_a_circle_is_seen_in_functions_too_and_let_pass_where_only_types_are_meant(
    tmp_path: Path,
) -> None:
    found = imports_of(
        write(
            tmp_path,
            {
                "raster/a.py": "from geoseg.raster import b\n",
                "raster/b.py": "from . import c\n",
                "raster/c.py": "def f():\n    from geoseg.raster.a import x\n",
                "report/d.py": "from geoseg.report import e\n",
                "report/e.py": "if TYPE_CHECKING:\n    from geoseg.report.d import X\n",
            },
        )
    )
    assert set(circle((i.importer, i.imported) for i in found)) == {
        f"geoseg.raster.{name}" for name in "abc"
    }
    report = [i for i in found if belongs(i.importer, "geoseg.report")]
    assert circle((i.importer, i.imported) for i in report) != []
    assert circle((i.importer, i.imported) for i in report if not i.typed) == []


def test_a_circle_of_folders_is_seen_where_no_modules_make_one(tmp_path: Path) -> None:
    found = imports_of(
        write(
            tmp_path,
            {
                "raster/files/low.py": "",
                "raster/files/high.py": "from geoseg.raster.scene import x\n",
                "raster/scene.py": "from geoseg.raster.files.low import y\n",
            },
        )
    )
    assert circle((i.importer, i.imported) for i in found) == []
    assert set(circle((room(i.importer), room(i.imported)) for i in found)) == {
        "geoseg.raster.files",
        "geoseg.raster.scene",
    }


def test_a_third_party_over_its_fence_is_seen(tmp_path: Path) -> None:
    found = imports_of(
        write(
            tmp_path,
            {
                "patches/a.py": "import numpy, rasterio.warp\n",
                "raster/b.py": "from rasterio import warp\nimport rasteriofriend\n",
                "raster/grid.py": "def f():\n    import geopandas as gpd\n",
            },
        )
    )
    assert [text.split()[0] for text in over_the_fence(found, FENCES)] == [
        "geoseg.patches.a",
        "geoseg.raster.grid",
    ]


def test_a_module_without_a_floor_is_seen(tmp_path: Path) -> None:
    found = imports_of(write(tmp_path, {"attic/a.py": "import geoseg.errors\n"}))
    with pytest.raises(AssertionError, match=r"geoseg\.attic"):
        upward(found, FLOORS)


# -- what starting costs -------------------------------------------------------------------------


def modules_after(code: str, *arguments: str) -> set[str]:
    """Top-level modules that a fresh Python holds after running some code."""
    script = (
        f"import sys, json\ntry:\n    {code}\nexcept SystemExit as e:\n    assert not e.code, e\n"
    )
    script += "print('\\n@' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE.parent), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.rpartition("\n@")[2]))


def test_importing_geoseg_imports_nothing_heavy() -> None:
    assert modules_after("import geoseg").isdisjoint(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    code = "from geoseg.cli import main; main(['--help'])"
    assert modules_after(code).isdisjoint(HEAVY)


def test_help_of_every_command_imports_nothing_heavy() -> None:
    code = (
        "from geoseg.cli import geoseg as g; c = g.make_context('geoseg', ['info', '--help']); "
        "[g.get_command(c, n).get_help(c) for n in g.list_commands(c)]"
    )
    assert modules_after(code).isdisjoint(HEAVY)


def test_info_on_a_model_imports_no_torch(tmp_path: Path) -> None:
    card = {
        "format": "geoseg-model",
        "version": 1,
        "name": "made by hand",
        "network": "pointwise",
        "arguments": {},
        "bands": ["red"],
        "sensor": None,
        "mean": [0.0],
        "std": [1.0],
        "fill": 0.0,
        "classes": [{"id": 1, "name": "water", "color": "#0000ff"}],
        "tile": 8,
        "resolution": None,
        "training": {},
        "description": "",
    }
    header = json.dumps({"__metadata__": {"geoseg": json.dumps(card)}}).encode()
    model = tmp_path / "model.safetensors"
    model.write_bytes(struct.pack("<Q", len(header)) + header)
    modules = modules_after(
        "from geoseg.cli import main; main(['info', *sys.argv[1:]])", str(model)
    )
    assert modules.isdisjoint({"torch", "safetensors", "geopandas"})
