"""The items and cards of models and maps say what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pystac
import pytest
import rasterio
from exporting import BANDS, LEGEND, SCHEMAS, done, told
from pystac.extensions.mlm import MLMExtension
from pystac.validation import validate_dict

from geoseg.testing.bundles import pointwise_bundle


def conforms(item: dict[str, Any], schema: str) -> None:
    read = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(read)
    jsonschema.validate(item, read, cls=jsonschema.Draft7Validator)
    # The schema of STAC itself lies in pystac; those of extensions would be asked of their servers.
    validate_dict({**item, "stac_extensions": []})


@pytest.mark.parametrize("source", ["unet.safetensors", "m.onnx"])
def test_the_item_of_a_model_is_valid_mlm(here: Path, source: str) -> None:
    if source == "m.onnx":
        done("export unet.safetensors -o m.onnx")
    done(f"export {source} -o item.json")
    held = json.loads(Path("item.json").read_text(encoding="utf-8"))
    conforms(held, "mlm.json")
    item = pystac.Item.from_file("item.json")
    mlm = MLMExtension.ext(item)
    assert mlm.mlm_name == "unet"
    assert mlm.architecture == "unet-small"
    assert [str(task) for task in mlm.tasks] == ["semantic-segmentation"]
    (given,) = mlm.input
    assert [band.name if hasattr(band, "name") else band for band in given.bands] == list(BANDS)
    assert given.input.shape == [-1, 3, -1, -1]
    scaling = held["properties"]["mlm:input"][0]["value_scaling"]
    assert [(s["mean"], s["stddev"]) for s in scaling] == [
        (8000.0, 600.0), (8500.0, 700.0), (9000.0, 800.0)
    ]  # fmt: skip
    (result,) = mlm.output
    assert result.result.shape == [-1, 3, -1, -1]
    assert [c.value for c in result.classes] == [2, 5, 9]
    (asset,) = item.assets.values()
    assert "mlm:model" in asset.roles
    assert asset.href == f"./{source}"
    assert (Path("item.json").parent / asset.href).exists()


def test_the_item_of_a_map_is_valid_and_names_what_it_was_made_of(here: Path) -> None:
    done("predict scene.tif --model unet.safetensors -o map.tif")
    done("export map.tif --date 2020-07-14 -o map.json")
    held = json.loads(Path("map.json").read_text(encoding="utf-8"))
    conforms(held, "map.json")
    item = pystac.Item.from_file("map.json")
    assert item.datetime is not None
    assert item.datetime.isoformat() == "2020-07-14T00:00:00+00:00"
    with rasterio.open("map.tif") as file:
        assert held["properties"]["proj:shape"] == [file.height, file.width]
        assert held["properties"]["proj:transform"] == list(file.transform)[:6]
        assert held["properties"]["proj:code"] == f"EPSG:{file.crs.to_epsg()}"
        west, south, east, north = rasterio.warp.transform_bounds(
            file.crs, "EPSG:4326", *file.bounds
        )
    np.testing.assert_allclose(held["bbox"], [west, south, east, north], atol=1e-5)
    links = [link["href"] for link in held["links"] if link["rel"] == "derived_from"]
    assert links == ["scene.tif", "unet.safetensors"]
    (asset,) = held["assets"].values()
    (band,) = asset["bands"]
    assert band["nodata"] == 255
    assert [(c["value"], c["name"], c["title"]) for c in band["classification:classes"]] == [
        (2, "Wald-Wiese", "Wald & Wiese"), (5, "water", "water"), (9, "Strasse-b", "Straße <b>")
    ]  # fmt: skip
    done("export map.tif --date 2020-07-14T20:00:00+02:00 --derived-from https://x.org/s -o m.json")
    held = json.loads(Path("m.json").read_text(encoding="utf-8"))
    assert held["properties"]["datetime"] == "2020-07-14T18:00:00Z"
    assert [link["href"] for link in held["links"]] == ["https://x.org/s"]


def test_a_map_without_a_date_is_asked_for_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done("predict scene.tif --model unet.safetensors -o map.tif")
    assert "--date" in told("export map.tif -o map.json", capsys)


# -- the card ------------------------------------------------------------------------------------


def test_the_card_says_what_the_model_says_and_holds_no_markup_of_others(here: Path) -> None:
    pointwise_bundle(
        [[1, 0], [0, 1], [1, 1]], bands=["red", "nir"], legend=LEGEND,
        description="good | <script>alert(1)</script>", path=here / "small.safetensors",
    )  # fmt: skip
    done("export small.safetensors -o small.md")
    page = Path("small.md").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "Nobody has measured it" in page
    done("export unet.safetensors -o unet.md")
    page = Path("unet.md").read_text(encoding="utf-8")
    assert "| epochs | 3 |" in page
    assert "| miou | 0.5 |" in page
    assert "| 5 | water | \\#1f6fd0 | 0.250 |" in page
    assert "| blue | 8000 | 600 |" in page
