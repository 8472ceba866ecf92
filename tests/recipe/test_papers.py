"""The commands on the pages of the papers, run as typed on made data in the published layouts."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import rasterio

from geoseg.cli import _run
from geoseg.testing.layouts import (
    made_agde,
    made_alpine,
    made_cropland,
    made_deepglobe,
    made_sugarcane,
)

PAGES = Path(__file__).parents[2] / "docs" / "papers"
LEARNING = ("train", "predict", "cam")
"""Not run: the recipes are, with small networks; that options are right is tested for all pages."""
OUTSIDE = ("composite", "run")
"""Earth Engine, and the recipes."""


def agde(here):
    made_agde(here.parent / "made", train=8, test=0, height=256, width=341)
    shutil.copytree(here.parent / "made" / "train", here, dirs_exist_ok=True)


def after_agde(here):
    shutil.copytree(here / "masks", here / "maps")


def alpine(here):
    made_alpine(here, images=12, size=400)


def cropland(here):
    made_cropland(here, size=150)
    (here / "composite.tif").rename(here / "county.tif")


def deepglobe(here):
    made_deepglobe(here, images=4, size=1224)


def sugarcane(here):
    """Pairs of pixels of two sizes, scenes, and labels for them."""
    made_sugarcane(here, images=4, size=256)
    (here / "images").rename(here / "scenes")
    with rasterio.open(here / "scenes" / "01.tif") as file:
        pixels, profile, names = file.read(), file.profile, file.descriptions
    coarse = pixels.reshape(4, 64, 4, 64, 4).mean(axis=(2, 4)).astype(pixels.dtype)
    wide = profile["transform"] @ rasterio.Affine.scale(4)
    sides = {"height": 64, "width": 64, "transform": wide, "blockxsize": 16, "blockysize": 16}
    with rasterio.open(here / "ms.tif", "w", **{**profile, **sides}) as file:
        file.write(coarse)
        file.descriptions = names
    with rasterio.open(here / "pan.tif", "w", **{**profile, "count": 1}) as file:
        file.write(pixels.mean(axis=0).astype(pixels.dtype), 1)


def after_rasterise(here):
    """Labels of each scene, and a map, by the page's own way."""
    (here / "labels").mkdir()
    for scene in sorted((here / "scenes").glob("*.tif")):
        words = ["--classes", "1=sugarcane,0=other", "--background", "other"]
        output = str(here / "labels" / scene.name)
        words = ["rasterise", str(here / "plots.gpkg"), "--like", str(scene), *words]
        assert _run([*words, "-o", output]) == 0
    assert _run([*words, "-o", str(here / "map.tif")]) == 0


MADE = {
    "agde": (agde, {"rasterise": after_agde}),
    "alpine": (alpine, {}),
    "cropland-cam": (cropland, {}),
    "deepglobe": (deepglobe, {}),
    "sugarcane": (sugarcane, {"rasterise": after_rasterise}),
}


def command_lines(page):
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    text = re.sub(r"\\\n\s*", "", "\n".join(blocks))
    return [shlex.split(line) for line in re.findall(r"^geoseg (.+)$", text, re.MULTILINE)]


def test_every_page_of_a_paper_is_run():
    assert {page.stem for page in PAGES.glob("*.md")} == {*MADE, "index"}


@pytest.mark.parametrize("name", MADE)
def test_the_commands_of_a_paper_run_as_typed(name, tmp_path, monkeypatch, capsys):
    make, after = MADE[name]
    here = tmp_path / "here"
    here.mkdir()
    make(here)
    monkeypatch.chdir(here)
    ran = []
    for words in command_lines(PAGES / f"{name}.md"):
        if words[0] in (*LEARNING, *OUTSIDE):
            continue
        status = _run(words)
        assert status == 0, capsys.readouterr().err
        ran.append(words[0])
        after.get(words[0], lambda _: None)(here)
    assert "tile" in ran
