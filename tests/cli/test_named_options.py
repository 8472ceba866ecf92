"""Outputs name the command that made them with every option that was given, whichever it is."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from geoseg.cli import _run, geoseg
from geoseg.cli.recipe_steps import OUTPUTS
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import made_scene

NEUTRAL = {
    *("output", "overwrite", "workers", "json", "verbose", "quiet", "debug", "device", "resume"),
    "trust",
    *("batch-size", "compile", "output-dir", "cluster"),
}
"""Options that decide nothing about what is made, or name where it goes."""
NOT_HERE = {
    "info": None,  # makes nothing
    "export": None,  # makes no raster: tests/cli/test_export.py
    "check": None,
    "train": None,  # a model's card holds all settings, and what was learned from
    "run": None,  # its record holds the words of each step
    "demo": None,
    "composite": {  # what Earth Engine is asked for: tests/compositing/earthengine
        *("earth-engine", "start", "end", "scale", "project", "request-size", "export"),
        *("labels-collection", "labels-band", "labels-method", "export-folder", "bucket"),
        *("description", "no-wait", "earth-engine-url"),
    },
    "evaluate": {
        "matrix",  # printed, and in no file
        "split",  # scores of patches; there is no raster of errors
        # What is measured besides changes no pixel of a raster of errors; `settings` of the scores
        # name it, see below.
        *("leave-out", "unpredicted", "bootstrap", "block", "seed", "boundary", "seams", "stages"),
        *("target", "exclude", "cell", "scene"),
    },
    # A model finds its bands by their names, whatever else a scene has.
    "predict": {"bands", "band-names"},
    "cam": {"bands", "band-names"},
    "tile": {"label-table", "label-field", "present"},  # tests/patches
}
"""Commands, and options of others, that are not asked for here."""
MADE = {"tile": "out/dataset.json", "homogenise": "out/scene.tif"}
ASKED = {
    "composite": [
        "scene.tif --method percentile --percentile 40 --keep snow --dilate 1 --quality none"
        " --sensor landsat-8-c2-l2 --bands blue,red --band-names blue,green,red,nir"
        " --like scene.tif --resampling nearest --region zones.gpkg --dtype float32"
        " --confidence medium -o out.tif",
        "scene.tif --sensor landsat-8-c2-l2 --band-names blue,green,red,nir"
        " --quality none --crs EPSG:32612 --resolution 60 --extent union -o out.tif",
    ],
    "homogenise": [
        "scene.tif other.tif --method moments --reference scene.tif --haze dark-object --cast"
        " grey-world --dodge --dodge-cell 32 --dodge-brightness 0.5 --dodge-contrast 0.5 --bands"
        " blue,green,red --band-names blue,green,red,nir -o out",
        "scene.tif other.tif --apply colour.json -o out",
        "scene.tif other.tif --outliers 0.01 -o out",
    ],
    "pansharpen": [
        "scene.tif pan.tif --method gsa --resampling bilinear --bands blue,red --band-names"
        " blue,green,red,nir --pan-band pan --dtype float32 --sensor landsat-8-c2-l1 -o out.tif",
    ],
    "rasterise": [
        "zones.gpkg --like scene.tif --field class --classes 0=rest,1=a,2=b --background rest"
        " --overlap first --all-touched --ignore-border 2px -o out.tif",
    ],
    "tile": [
        "scene.tif --labels labels.tif --size 16 --stride 8 --bands blue,red --band-names"
        " blue,green,red,nir --max-nodata 0.5 --min-labelled 0.1 --fill 1 --split"
        " 0.5,0.5,0 --split-block 32 --classes classes.csv --assume-aligned --region zones.gpkg"
        " --mosaic --homogenise colour.json --format npy --seed 3 --confidence share.tif"
        " --min-confidence 0.2 -o out",
        "photographs --labels halves --classes classes.csv --size 16 --fit-labels -o out",
    ],
    "predict": [
        "scene.tif --model model.safetensors --tile 32 --stride 16 --blend mean --tta --scale 1:2"
        " --min-area 3px --homogenise colour.json --region zones.gpkg --precision float32"
        " -o out.tif",
        "scene.tif --model model.safetensors --tile 32 --overlap 0.5 -o out.tif",
    ],
    "cam": [
        "scene.tif --model cam.safetensors --weak-labels weak.tif --combine logistic --refine"
        " --known patches --reference labels.tif --assume-aligned --patches 8 --tile 20 --stride"
        " 10 --blend mean --upsampling repeat --bias --tta --min-area 3px"
        " --homogenise none --region"
        " zones.gpkg --precision float32 --seed 3 -o out.tif",
        "scene.tif --model cam.safetensors --scales 1,2 -o out.tif",
    ],
    "coverage": [
        "bare.tif --target b --exclude c --cell 10px --stages stages.csv --hectares --classes"
        " classes.csv -o out.tif",
        "bare.tif --target 1 --like scene.tif -o out.tif",
        "bare.tif --target b --classes 1=a,2=b,3=c --zones zones.gpkg --zone-field class"
        " --stages agde -o out.gpkg",
        "both.tif --target a --exclude b --from-probabilities --cell 10px -o out.tif",
        "maps --target b --exclude c --stages agde --images photographs --classes 1=a,2=b,3=c"
        " -o out.csv",
    ],
    "evaluate": [
        "map.tif labels.tif --classes classes.csv --ignore 3 --region zones.gpkg --assume-aligned"
        " --strict-grid --errors out.tif",
        "map.tif zones.gpkg --field class --errors out.tif",
    ],
    "recode": [
        "bare.tif --codes 1=1,*=2 --classes 1=a,2=b -o out.tif",
        "colours.tif --codes #000000=1,#ffffff=2 --classes 1=a,2=b --threshold 128 -o out.tif",
    ],
    "vectorise": [
        "map.tif --classes a,b --min-area 3px --simplify 1px --dissolve --zones zones.gpkg"
        " --zone-field class -o out.gpkg",
    ],
}
"""Words after each command; files are those of `folder`."""


def options_of(name: str) -> dict[str, click.Option]:
    ctx = geoseg.make_context("geoseg", ["info", "--help"], resilient_parsing=True)
    found = geoseg.get_command(ctx, name)
    assert found is not None
    return {p.opts[-1][2:]: p for p in found.params if isinstance(p, click.Option)}


def commands() -> list[str]:
    ctx = geoseg.make_context("geoseg", ["info", "--help"], resilient_parsing=True)
    return geoseg.list_commands(ctx)


def spelled(word: str) -> str:
    """Return an option without dashes, as click lists it last."""
    return {"homogenise": "homogenize"}.get(word.removeprefix("--"), word.removeprefix("--"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files of every kind that the commands read."""
    made = tmp_path_factory.mktemp("named")
    bands = ("blue", "green", "red", "nir")
    for number, name in enumerate(("scene", "other")):
        made_scene(
            made / f"{name}.tif", height=64, width=64, seed=number, bands=bands, nodata_share=0,
            bad_pixels=0, block=(64, 64),
        )  # fmt: skip
    with rasterio.open(made / "scene.tif") as scene:
        keys = ("driver", "height", "width", "crs", "transform")
        profile = {key: scene.profile[key] for key in keys}
        bounds = scene.bounds
    ids = (np.indices((64, 64)).sum(axis=0) // 8 % 3 + 1).astype(np.uint8)

    def put(name: str, pixels: Any, *names: str, **more: Any) -> None:
        rows = np.atleast_3d(pixels.T).T
        shape = {"count": len(rows), "dtype": rows.dtype.name, **more}
        with rasterio.open(made / name, "w", **(profile | shape)) as file:
            file.write(rows)
            for place, text in enumerate(names, 1):
                file.set_band_description(place, text)

    put("bare.tif", ids, nodata=255)
    put("labels.tif", ids, nodata=255)
    put("share.tif", np.full((64, 64), 0.5, np.float32))
    put("both.tif", np.full((2, 64, 64), 0.5, np.float32), "a", "b")
    fine = profile["transform"] @ Affine.scale(0.5)
    large = np.random.default_rng(0).integers(200, 9000, (128, 128)).astype(np.uint16)
    put("pan.tif", large, "pan", height=128, width=128, transform=fine)
    geopandas.GeoDataFrame(
        {"class": ["a", "b"]},
        geometry=[
            shapely.box(bounds.left, bounds.bottom, bounds.left + 960, bounds.top),
            shapely.box(bounds.left + 960, bounds.bottom, bounds.right, bounds.top),
        ],
        crs=profile["crs"],
    ).to_file(made / "zones.gpkg")
    (made / "classes.csv").write_text("id,name\n1,a\n2,b\n3,c\n")
    (made / "stages.csv").write_text("name,low,high\nlow,0,49\nhigh,50,100\n")
    legend = parse_legend("1=a,2=b,3=c")
    pointwise_bundle(
        [[0, 0], [1, 0], [0, 1]], bands=["blue", "red"], legend=legend, path=made / "m.safetensors"
    )
    (made / "m.safetensors").rename(made / "model.safetensors")
    card = ModelCard(
        name="cam",
        network="shallow-cnn",
        arguments={"widths": (3, 4, 5, 6)},
        bands=("blue", "red"),
        mean=(9000.0, 9000.0),
        std=(900.0, 900.0),
        fill=0.0,
        legend=legend,
        tile=20,
    )
    net = build("shallow-cnn", in_channels=2, classes=3, widths=(3, 4, 5, 6)).eval()
    save_bundle(ModelBundle(net, card), made / "cam.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        words = "scene.tif --model model.safetensors --tile 32 --homogenise none -q -o map.tif"
        assert _run(["predict", *words.split()]) == 0
        words = "scene.tif other.tif --bands blue,red -q -o alike"
        assert _run(["homogenise", *words.split()]) == 0
        words = "scene.tif --labels labels.tif --classes classes.csv --size 16 -q -o patches"
        assert _run(["tile", *words.split()]) == 0
    (made / "alike" / "colour.json").rename(made / "colour.json")
    for name in ("maps", "halves", "photographs"):
        (made / name).mkdir()
    Image.fromarray(ids).save(made / "maps" / "one.png")
    Image.fromarray(ids[::2, ::2]).save(made / "halves" / "one.png")
    put("colours.tif", np.where(ids == 1, 0, 255).astype(np.uint8)[None].repeat(3, axis=0))
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48, 0, 0), 3: "E", 4: (2, 0, 0)}
    shot = Image.fromarray(ids[..., None].repeat(3, axis=-1) * 40)
    shot.save(made / "photographs" / "one.jpg", exif=exif.tobytes())
    return made


def command_in(path: Path) -> str:
    """Read the command that a file says it was made by."""
    if path.suffix == ".json":
        return str(json.loads(path.read_text())["command"])
    if path.suffix == ".csv":  # points lie beside a table
        path = path.with_suffix(".gpkg")
    if path.suffix == ".gpkg":
        layer = pyogrio.list_layers(path)[0][0]
        return str(pyogrio.read_info(path, layer=layer)["dataset_metadata"]["GEOSEG_COMMAND"])
    with rasterio.open(path) as file:
        return str(file.tags()["GEOSEG_COMMAND"])


def cases() -> Iterator[Any]:
    for name, asked in ASKED.items():
        for number, words in enumerate(asked, 1):
            yield pytest.param(name, words, id=f"{name}-{number}")


@pytest.mark.parametrize(("name", "words"), list(cases()))
def test_every_option_that_was_given_is_named(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    switch = "--overwrite" if "overwrite" in options_of(name) else "-q"
    for old in folder.glob("out.*"):
        old.unlink()
    shutil.rmtree(folder / "out", ignore_errors=True)
    assert _run([name, *words.split(), switch, "-q"]) == 0, capsys.readouterr().err
    typed = shlex.split(command_in(Path(MADE.get(name, words.rsplit(maxsplit=1)[-1]))))
    assert typed[:2] == ["geoseg", name]
    given = [word for word in words.split() if word.startswith("--")]
    apart = NEUTRAL | set(OUTPUTS.get(name, ())) | (NOT_HERE.get(name) or set())
    # --overlap is another way to say --stride.
    same = {"--overlap": "--stride"}
    missing = [
        word
        for word in given
        if spelled(word) not in apart and same.get(word, word) not in typed and word not in typed
    ]
    assert missing == []
    assert not any(str(folder) in word for word in typed)


def test_settings_of_scores_name_every_option_that_was_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    asked = (
        "--classes classes.csv --ignore 3 --leave-out a --unpredicted wrong --region zones.gpkg"
        " --assume-aligned --strict-grid --bootstrap 20 --block 8px --seed 3 --boundary 2px"
        " --seams 16 --stages agde --target a --exclude c --cell 10px --scene scene.tif"
    )
    words = [*asked.split(), "-o", "scores", "-q", "--overwrite"]
    assert _run(["evaluate", "map.tif", "labels.tif", *words]) == 0
    given = {word[2:] for word in words if word[:2] == "--"} - NEUTRAL
    settings = json.loads((folder / "scores" / "scores.json").read_text())["settings"]
    assert given - set(settings) == set()
    polygons = ["evaluate", "map.tif", "zones.gpkg", "--field", "class", "-q", "-o", "field.json"]
    assert _run(polygons) == 0
    assert json.loads((folder / "field.json").read_text())["settings"]["field"] == "class"
    apart = NEUTRAL | set(OUTPUTS["evaluate"]) | {"matrix", "split", "field"}
    assert set(options_of("evaluate")) - apart == given


@pytest.mark.parametrize("name", commands())
def test_every_option_there_is_is_asked_for(name: str) -> None:
    if name in NOT_HERE and NOT_HERE[name] is None:
        return
    asked = {spelled(word) for words in ASKED[name] for word in words.split() if word[:2] == "--"}
    apart = NEUTRAL | set(OUTPUTS.get(name, ())) | (NOT_HERE.get(name) or set())
    assert set(options_of(name)) - apart - asked == set()
