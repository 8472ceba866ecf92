"""What geoseg sees of its own outputs that are no rasters, and the date of any."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from geoseg import cli
from geoseg.assessment.describe import describe
from geoseg.assessment.describe_others import describe_other
from geoseg.assessment.describe_text import text
from geoseg.testing.scenes import made_scene


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    made_scene(folder / "scene.tif", labels=folder / "labels.tif", height=64, width=64)
    return folder / "labels.tif"


def one(path: Path) -> dict[str, Any]:
    (found,) = describe(str(path))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_polygons_say_what_made_them(suffix: str, labels: Path, tmp_path: Path) -> None:
    path = tmp_path / f"polygons.{suffix}"
    assert cli._run(["vectorise", str(labels), "--min-area", "1ha", "-q", "-o", str(path)]) == 0
    found = one(path)
    assert found["kind"] == "polygons"
    assert found["made_by"]["command"] == "geoseg vectorise labels.tif --min-area 1ha"
    assert set(found["made_by"]["inputs"]) == {"labels"}
    assert found["made_by"]["options"] == {"min-area": "1ha"}
    lines = [" ".join(line.split()) for line in text(found).splitlines()]
    assert "made by geoseg vectorise labels.tif --min-area 1ha" in lines
    assert any(line.startswith("written ") for line in lines)


def test_scores_items_colours_and_reports_are_told(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    told = [
        ({"geoseg": "0.1", "fingerprints": {"labels": "ab"}}, "scores"),
        ({"format": "geoseg-colour", "version": 1}, "colour"),
        ({"geoseg": "0.1", "steps": []}, "report of a recipe"),
        (
            {
                "type": "Feature",
                "properties": {"processing:software": {"geoseg": "0.1"}, "description": "geoseg x"},
            },
            "STAC item",
        ),
    ]
    for content, kind in told:
        path.write_text(json.dumps(content), encoding="utf-8")
        found = one(path)
        assert found["kind"] == kind
        assert "0.1" in text(found) or kind == "colour"


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"geoseg": 1, "fingerprints": {}}',
        '{"type": "Feature", "properties": null}',
        '{"type": "Feature", "properties": {"processing:software": []}}',
        '{"type": "FeatureCollection", "features": []}',
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.geojson", "a.gpkg", "a.parquet"])
def test_what_is_not_ours_is_left_to_others(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert describe_other(path) is None


def test_a_damaged_tag_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    tags = {"GEOSEG_COMMAND": "geoseg \x1b[31m", "GEOSEG_INPUTS": "{", "GEOSEG_CLASSES": "7"}
    line = json.dumps({"type": "FeatureCollection", "metadata": tags})[:-1]
    path.write_text(line + ', "features": [\n]}\n', encoding="utf-8")
    found = one(path)
    assert found["made_by"]["inputs"] == "{"
    assert found["classes"] == []
    assert "\x1b" not in text(found)


def test_the_date_is_the_files_own(labels: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    path.write_bytes(labels.read_bytes())
    os.utime(path, (0, 951_782_400.9))
    found = one(path)
    assert found["written"] == "2000-02-29T00:00:00Z"
    assert "2000-02-29 00:00:00 UTC" in text(found)
    os.utime(path, (0, 951_782_460))
    assert one(path) == found | {"written": "2000-02-29T00:01:00Z"}
