"""What functions and commands are asked is one value, checked once and alike."""

from __future__ import annotations

import importlib
from dataclasses import MISSING, fields

import click
import numpy as np
import pytest
from PIL import Image

import geoseg
from geoseg import cli
from geoseg.cli import _run
from geoseg.cli.earthengine_options import EarthEngineOptions
from geoseg.errors import OptionError, OutputError
from geoseg.raster.outputs import unfinished
from geoseg.testing.scenes import tiny_scene

ASKED = {
    "composite": ("geoseg.compositing.asked", "CompositeAsked", {"scene": "scenes"}),
    "coverage": (
        "geoseg.assessment.coverage.asked",
        "CoverageAsked",
        {"classes_raster": "raster"},
    ),
    "cam": ("geoseg.inference.cam.asked", "CamAsked", {}),
    "predict": ("geoseg.inference.asked", "PredictAsked", {}),
    "evaluate": ("geoseg.assessment.asked", "Asked", {"scene": "reports"}),
}
"""Command → module and class of what it asks, and arguments of another name there."""
FOR_PEOPLE = {"as_json", "output_dir", *("help", "verbose", "quiet", "debug", "trust")}
EARTH_ENGINE = {field.name for field in fields(EarthEngineOptions)} - {"resume"}
NOT_HERE = {
    "composite": EARTH_ENGINE,
    "evaluate": {"rasters", "matrix", "output", "errors", "overwrite", "workers"},
}
"""Options of a command that are asked elsewhere."""
TOLD = {"spelled", "or_many"}
"""How errors are worded."""


def options_of(name: str) -> dict[str, object]:
    """Parameters of a command → defaults."""
    command = cli.geoseg.get_command(click.Context(cli.geoseg), name)
    assert command is not None
    not_here = FOR_PEOPLE | NOT_HERE.get(name, set())
    return {
        str(p.name): p.to_info_dict().get("default")
        for p in command.params
        if p.name not in not_here
    }


@pytest.mark.parametrize("name", ASKED)
def test_a_command_asks_all_that_its_options_say_with_the_same_defaults(name):
    module, kind, renamed = ASKED[name]
    asked = {f.name: f.default for f in fields(getattr(importlib.import_module(module), kind))}
    options = {renamed.get(key, key): value for key, value in options_of(name).items()}
    assert set(asked) - TOLD == set(options)
    for key, default in options.items():
        if asked[key] is not MISSING and key != "scales":
            assert (asked[key] or None) == (default or None), key


def test_what_is_asked_of_earth_engine_are_the_parameters_of_its_function():
    import inspect  # noqa: PLC0415

    from geoseg.compositing.earthengine.wanted import EarthEngineWanted  # noqa: PLC0415

    taken = set(inspect.signature(geoseg.composite_earth_engine).parameters) - {"progress"}
    assert {field.name for field in fields(EarthEngineWanted)} - TOLD == taken


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("coverage map.tif -o a.tif --target 3", {"target": [3]}),
        (
            "coverage map.tif -o a.tif --target 3 --cell 20m --images .",
            {"target": [3], "cell": "20m", "images": "."},
        ),
        (
            "coverage map.tif -o a.tif --target 3 --cell 20m --zone-field name",
            {"target": [3], "cell": "20m", "zone_field": "name"},
        ),
        (
            "coverage map.tif -o a.gpkg --target 3 --zones z.shp --hectares",
            {"target": [3], "zones": "z.shp", "hectares": True},
        ),
        ("coverage map.tif -o a.csv --target 3 --cell 20m", {"target": [3], "cell": "20m"}),
        ("cam map.tif -o a.tif --model m --refine", {"model": "m", "refine": True}),
        ("cam map.tif -o a.tif --model m --min-area 3px", {"model": "m", "min_area": 3}),
        (
            "predict map.tif -o a.tif --stride 4 --overlap 0.5",
            {"stride": 4, "overlap": 0.5},
        ),
        ("predict pictures -o maps --region 0,0,1,1", {"region": "0,0,1,1"}),
        (
            "composite map.tif -o a.tif --counts a.tif",
            {"counts": "a.tif"},
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_the_same_words(
    words, given, halves, monkeypatch, capsys
):
    monkeypatch.chdir(halves)
    (halves / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(halves / "pictures" / "a.jpg")
    name, source, _, output, *_ = words.split()
    with pytest.raises(OptionError) as error:
        getattr(geoseg, name)(source, output, **given)
    said = str(error.value)
    assert "--" not in said
    assert _run(words.split()) == 2
    typed = capsys.readouterr().err.splitlines()[-1].removeprefix("Error: ").rstrip(".")
    for option in {w for w in words.split() if w.startswith("--")} | {"--weak-labels"}:
        typed = typed.replace(option, option[2:].replace("-", "_"))
    for key in ("like", "cell", "zones", "images", "previews", "combine", "refine"):
        typed = typed.replace(f"--{key}", key)
    for key in ("probabilities", "confidence", "region"):
        typed = typed.replace(f"--{key}", key)
    assert typed[:1].lower() + typed[1:] == said[:1].lower() + said[1:]
    assert not list(halves.glob("a.*"))


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("composite", {"scenes": []}, "scenes names nothing; name one at least"),
        ("composite", {"dtype": "uint8"}, "dtype is float32 or uint16 or int16, not 'uint8'"),
        ("composite", {"workers": 0}, "workers is a number of threads, 1 or more, not 0"),
        ("coverage", {"workers": -1}, "1 or more, not -1"),
        ("predict", {"workers": 0}, "1 or more, not 0"),
        ("predict", {"bands": []}, "bands names nothing; leave it out to use all"),
        ("cam", {"bands": []}, "bands names nothing; leave it out to use all"),
        ("cam", {"workers": 0}, "1 or more, not 0"),
        ("evaluate", {"workers": 0}, "1 or more, not 0"),
    ],
)
def test_what_no_option_can_say_is_refused_of_functions_too(name, given, said, halves, work):
    model = work[0] / "model.safetensors"
    scene = work[0] / "scene.tif"
    base = {
        "composite": {"scenes": [scene], "output": halves / "a.tif"},
        "coverage": {"raster": halves / "map.tif", "output": halves / "a.tif", "target": [3]},
        "predict": {"scene": scene, "output": halves / "a.tif", "model": model},
        "cam": {"scene": scene, "output": halves / "a.tif", "model": model},
        "evaluate": {"prediction": halves / "map.tif", "labels": halves / "labels.tif"},
    }[name]
    more = {"cell": "20m"} if name == "coverage" else {}
    with pytest.raises(OptionError) as error:
        getattr(geoseg, name)(**{**base, **more, **given})
    assert said in str(error.value)


# -- what a stopped run left ----------------------------------------------------------------------


@pytest.fixture
def often(monkeypatch):
    """Have what is finished noted at once."""
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)


def stop(make):
    """Stop a call when some of it is finished."""
    told = []

    def progress(pixels):
        told.append(pixels)
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(resume=True, progress=progress)


def check_leftover_is_seen(make, output):
    """A call that says nothing of what is there is refused; one that replaces it, removes it."""
    left = output.parent / f".{output.name}.part"
    assert left.is_dir()
    with pytest.raises(OutputError, match=r"go on with --resume, or begin anew with --overwrite"):
        make()
    assert left.is_dir()
    assert not output.exists()
    make(overwrite=True)
    assert output.exists()
    assert not left.exists()


def test_a_composite_sees_what_a_stopped_call_left(tmp_path, often):
    rng = np.random.default_rng(3)
    for month in ("may", "june"):
        pixels = rng.integers(1, 999, (2, 1100, 1030)).astype(np.uint16)
        tiny_scene(tmp_path / f"{month}.tif", pixels, bands=["red", "nir"], nodata=0)
    output = tmp_path / "out.tif"
    scenes = [tmp_path / "may.tif", tmp_path / "june.tif"]

    def make(**how):
        return geoseg.composite(scenes, output, workers=1, **how)

    stop(make)
    check_leftover_is_seen(make, output)


def test_a_prediction_sees_what_a_stopped_call_left(work, tmp_path, often):
    folder, _, _ = work
    output = tmp_path / "out.tif"

    def make(**how):
        model = folder / "model.safetensors"
        return geoseg.predict(folder / "scene.tif", output, model=model, tile=8, workers=1, **how)

    stop(make)
    check_leftover_is_seen(make, output)
