"""What a run's page says of the data: the colour, and what was left out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geoseg.cli import _run
from geoseg.patches.dataset import PatchDataset
from geoseg.report.page import make_page
from geoseg.testing.scenes import made_scene
from geoseg.training.report.data import data_section


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two photographs with masks, of which the second cannot be read."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    for name in ("a", "b"):
        Image.fromarray(noise).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(noise[..., 0] % 2).save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "images" / "b.png").write_bytes(b"nothing")
    return tmp_path


def html_of(folder: Path) -> str:
    return make_page("t", [data_section(PatchDataset.open(folder))]).replace("\xa0", " ")


def test_files_left_out_are_named_with_the_reason(pictures: Path) -> None:
    words = ["tile", str(pictures / "images"), "--labels", str(pictures / "masks"), "--size", "16"]
    words += ["--classes", "0=a,1=b", "--split", "1,0,0", "-o", str(pictures / "set"), "-q"]
    assert _run(words) == 0
    html = html_of(pictures / "set")
    assert "4 train" in html
    assert "16 × 16 px" in html
    assert "<td>as in the files</td>" in html
    assert "<td>1 file</td>" in html
    assert "<th scope=row>b.png</th>" in html
    reason = PatchDataset.open(pictures / "set").metadata["problems"][0]["reason"]
    assert reason in html.replace("&#x27;", "'")
    assert str(pictures) not in html


def test_the_colour_that_scenes_were_brought_to_is_told(tmp_path: Path) -> None:
    scenes = [tmp_path / "a.tif", tmp_path / "b.tif"]
    for number, path in enumerate(scenes):
        labels = tmp_path / f"labels-{path.name}"
        made_scene(path, height=48, width=48, seed=number, labels=labels, nodata_share=0)
    words = ["tile", *map(str, scenes), "--size", "16", "--homogenise", "moments"]
    words += [w for path in scenes for w in ("--labels", str(tmp_path / f"labels-{path.name}"))]
    assert _run([*words, "--split", "1,0,0", "-o", str(tmp_path / "set"), "-q"]) == 0
    colour = PatchDataset.open(tmp_path / "set").colour
    assert colour is not None
    html = html_of(tmp_path / "set")
    assert f"brought to one: {colour.text} (digest {colour.digest})" in html
    assert "mean and deviation" in html
    assert "<td>nothing</td>" in html


@pytest.mark.parametrize(("number", "folded"), [(0, False), (5, False), (6, True), (203, True)])
def test_many_are_folded_and_very_many_counted(number: int, folded: bool) -> None:
    problems = [{"path": f"{n}.tif", "reason": "is <black>"} for n in range(number)]

    metadata = {"problems": problems, "scenes": [1], "dropped": {"nodata": 0}}
    found: Any = SimpleNamespace(metadata=metadata, splits={"train": 1}, size=16, colour=None)
    html = make_page("t", [data_section(found)])
    assert ("<details>" in html) == folded
    assert html.count("is &lt;black&gt;") == min(number, 200)
    assert ("And 3 more" in html) == (number == 203)
    assert "dropped" not in html
