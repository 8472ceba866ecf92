"""The Python functions: named once, cheap to import, and the same as the commands."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

import geoseg
from geoseg import cli

PACKAGE = Path(__file__).resolve().parents[1] / "geoseg"
FUNCTIONS = sorted(set(geoseg.__all__) - {"__version__"})
HEAVY = {"torch", "rasterio", "geopandas", "pyogrio", "numba", "numpy", "shapely", "click"}


# -- names and what they cost --------------------------------------------------------------------


def test_what_type_checkers_read_names_the_same_functions_of_the_same_modules():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    said = {a.asname: node.module for node in imports for a in node.names}
    assert said.pop("errors") == "geoseg"
    assert said == {name: getattr(geoseg, name).__module__ for name in FUNCTIONS}


def test_naming_a_function_imports_nothing_heavy():
    code = (
        "import sys, json, geoseg; [getattr(geoseg, n) for n in geoseg.__all__];"
        "print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    )
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE.parent))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert set(json.loads(done.stdout)).isdisjoint(HEAVY)


def test_importing_the_package_imports_no_function_module():
    code = "import sys, geoseg; print([n for n in sys.modules if n.startswith('geoseg.')])"
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE.parent))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error_and_functions_are_listed():
    with pytest.raises(AttributeError, match="predikt"):
        _ = geoseg.predikt
    assert set(FUNCTIONS) <= set(dir(geoseg))


def test_errors_are_there_before_any_function_ran_and_only_names_of_ours_are_listed():
    code = "import geoseg; print(geoseg.errors.GeosegError.__module__, *dir(geoseg))"
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE.parent))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    home, *names = done.stdout.split()
    assert home == "geoseg.errors"
    assert {n for n in names if not n.startswith("_")} == {*FUNCTIONS, "errors"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_documents_every_parameter_and_what_it_raises(name):
    function = getattr(geoseg, name)
    text = inspect.getdoc(function) or ""
    assert "Raises\n------" in text
    parameters = inspect.signature(function).parameters
    head = text.partition("Raises\n------")[0]
    if len(parameters) > 2:
        described = {
            word.strip()
            for line in head.partition("Parameters\n----------\n")[2].splitlines()
            if line and not line.startswith(" ")
            for word in line.split(",")
        }
        assert set(parameters) - described == set()
    assert all(p.annotation is not p.empty for p in parameters.values())
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty


def test_settings_of_training_are_those_of_the_command():
    options = importlib.import_module("geoseg.api.learning").TrainOptions.__annotations__
    settings = importlib.import_module("geoseg.training.settings").Settings
    assert list(options) == [field.name for field in fields(settings)]


# -- functions and commands ----------------------------------------------------------------------

SPEAKING = {"as_json", "matrix", "quiet", "verbose", "debug", "trust", "help"}
"""Options of commands by which they speak to people."""
LISTENING = {"progress", "say", "on_epoch", "quiet"}
"""Parameters of functions by which they speak to programs."""
OTHERWISE = {
    "composite": {"scene": "scenes"},
    "coverage": {"classes_raster": "raster"},
    "evaluate": {"rasters": "prediction"},
    "homogenise": {"saved": "apply"},
    "info": {"files": "source"},
    "predict": {"models": "model"},
    "train": {"dataset": "patches"},
    "vectorise": {"classes": "raster", "wanted": "only"},
}
"""What a parameter of a command is called in its function, where that is another name."""
ELSEWHERE = {
    "train": {"compare": "compare", "folds": "compare", "test": "compare", "jobs": "compare"},
    "composite": dict.fromkeys(
        (
            *("earth_engine", "scale", "project", "request_size", "labels_collection"),
            *("labels_band", "labels_method", "labels_output", "earth_engine_url"),
        ),
        "composite_earth_engine",
    ),
}
"""Options of a command that another function takes."""
COMMAND_ALONE = {
    "check": {"strict"},  # who asks for problems gets them
    "composite": {"export", "export_folder", "bucket", "description", "no_wait"},
    "pansharpen": {"method"},  # there is one
    "predict": {"output_dir"},  # many scenes are a loop
}
"""Options that no function takes."""
FUNCTION_ALONE = {"evaluate": {"labels"}}
"""Parameters that stand in one list with others on the command line."""
DEFAULTS = {
    ("composite", "keep"): "water",
    ("cam", "scales"): "1",
    ("run", "output"): None,  # after the recipe's name
    ("tile", "split"): "0.8,0.1,0.1",
}
"""Defaults of commands that are written otherwise there."""


def settings_of(name):
    """Settings that a function takes as ``**options``, with their defaults."""
    if name == "train":
        settings = importlib.import_module("geoseg.training.settings").Settings()
        return {field.name: getattr(settings, field.name) for field in fields(settings)}
    made = importlib.import_module("geoseg.patches.settings")
    settings = made.TileSettings.of({})
    found = {key: getattr(settings, key, None) for key in made.TileOptions.__annotations__}
    return found | {"stride": None, "workers": None}  # filled in, by the size and the processors


def parameters_of(name):
    """Names of what a function takes → defaults; settings are spread out."""
    found = {}
    for parameter in inspect.signature(getattr(geoseg, name)).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= settings_of(name)
        else:
            found[parameter.name] = parameter.default
    return found


def command_parameters(name):
    command = cli.geoseg.get_command(click.Context(cli.geoseg), name)
    return [p for p in command.params if p.name not in SPEAKING]


def plain(default):
    """Nothing is nothing, however it is written; spaces say nothing."""
    if default in (None, (), False, 0, {}) or default is inspect.Parameter.empty:
        return None
    return default.replace(" ", "") if isinstance(default, str) else default


BOTH = sorted(set(FUNCTIONS) & set(cli._COMMANDS))


def test_every_command_has_a_function():
    assert set(cli._COMMANDS) - set(FUNCTIONS) == {"demo"}


@pytest.mark.parametrize("name", BOTH)
def test_a_function_takes_what_its_command_takes(name):
    there = parameters_of(name)
    wanted = {OTHERWISE.get(name, {}).get(p.name, p.name) for p in command_parameters(name)}
    elsewhere = ELSEWHERE.get(name, {})
    for option, function in elsewhere.items():
        taken = {"earth_engine": "collections", "earth_engine_url": "url", "compare": "grid"}
        assert taken.get(option, option) in parameters_of(function)
    wanted -= COMMAND_ALONE.get(name, set()) | set(elsewhere)
    assert wanted - set(there) == set()
    assert set(there) - wanted - LISTENING - FUNCTION_ALONE.get(name, set()) == set()


@pytest.mark.parametrize("name", BOTH)
def test_a_function_has_the_defaults_of_its_command(name):
    there = parameters_of(name)
    for parameter in command_parameters(name):
        called = OTHERWISE.get(name, {}).get(parameter.name, parameter.name)
        if called not in there or isinstance(parameter, click.Argument):
            continue
        default = parameter.to_info_dict()["default"]
        if (name, called) in DEFAULTS:
            assert default == DEFAULTS[name, called]
        elif not parameter.required:
            assert plain(there[called]) == plain(default), called
