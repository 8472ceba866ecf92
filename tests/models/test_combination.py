"""A card may keep how activation maps become classes; others stay as they were."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from geoseg.assessment.describe import describe
from geoseg.assessment.describe_text import text
from geoseg.errors import ModelError
from geoseg.models.bundle import ModelBundle, load_bundle, save_bundle
from geoseg.models.card import ModelCard, read_card
from geoseg.models.combination import check_combination
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend

CARD = ModelCard(
    name="a model",
    network="unet-small",
    arguments={"widths": [4, 8]},
    bands=("red", "nir"),
    mean=(100.5, 1e4),
    std=(3.25, 0.1),
    fill=0.0,
    legend=parse_legend("1=water,2=corn,7=grass"),
    tile=64,
)
FITTED: dict[str, Any] = {
    "method": "logistic",
    "coefficients": [[0.5, -1.25, 1e-7], [3.0, 0.0, 2.0]],
    "intercepts": [0.1, -0.1],
    "classes": [0, 2],
    "settings": {"upsampling": "bilinear", "bias": False, "stride": 25, "width": 0.1, "x": None},
    "fitted_on": {"patches": 500, "reference": "labels.tif", "fingerprint": "9f"},
}


def saved(path: Path, card: ModelCard) -> Path:
    torch.manual_seed(1)
    save_bundle(
        ModelBundle(build("unet-small", in_channels=2, classes=3, widths=(4, 8)), card), path
    )
    return path


def test_a_combination_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", replace(CARD, combination=FITTED))
    assert read_card(path).combination == FITTED
    assert load_bundle(path).card.combination == FITTED


def test_cards_without_one_do_not_mention_it(tmp_path: Path) -> None:
    assert "combination" not in CARD.to_json()
    assert ModelCard.from_json(CARD.to_json()).combination is None
    assert ModelCard.from_json(CARD.to_json() | {"combination": None}) == CARD
    assert b"combination" not in saved(tmp_path / "m.safetensors", CARD).read_bytes()


def test_whole_numbers_become_floats_and_other_entries_are_left_out() -> None:
    given = FITTED | {"coefficients": [[1, 2, 3], [4, 5, 6]], "intercepts": [0, 1], "odd": 1}
    found = check_combination(given, 3, source="m")
    assert "odd" not in found
    assert found["coefficients"] == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert all(type(v) is float for row in found["coefficients"] for v in row)
    assert all(type(v) is float for v in found["intercepts"])


@pytest.mark.parametrize(
    "change",
    [
        {"method": "forest"},
        {"method": ["logistic"]},
        {"classes": []},
        {"classes": [0]},
        {"classes": [0, 0]},
        {"classes": [2, 0]},
        {"classes": [0, 3]},
        {"classes": [-1, 0]},
        {"classes": [0, 2.0]},
        {"classes": [False, True]},
        {"classes": ["a", 1]},
        {"classes": "02"},
        {"classes": list(range(257))},
        {"coefficients": [[1, 2, 3]]},
        {"coefficients": [[1, 2, 3], [1, 2]]},
        {"coefficients": [[1, 2, 3], 4]},
        {"coefficients": [[1, 2, 3], [1, 2, "3"]]},
        {"coefficients": [[1, 2, 3], [1, 2, True]]},
        {"coefficients": [[1, 2, 3], [1, 2, float("nan")]]},
        {"coefficients": [[1, 2, 3], [1, 2, float("inf")]]},
        {"coefficients": [[1, 2, 3], [1, 2, 10**400]]},
        {"coefficients": None},
        {"intercepts": [1]},
        {"intercepts": [1, None]},
        {"intercepts": {"0": 1}},
        {"settings": None},
        {"settings": {"a": [1]}},
        {"settings": {"a": float("inf")}},
        {"fitted_on": []},
        {"fitted_on": {"a": {}}},
    ],
)
def test_one_that_makes_no_sense_is_refused_in_a_line(change: dict[str, Any]) -> None:
    card = CARD.to_json() | {"combination": FITTED | change}
    with pytest.raises(ModelError, match=r"^model\.x cannot be used: ") as caught:
        ModelCard.from_json(card, source="model.x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", sorted(FITTED))
def test_one_that_lacks_an_entry_is_refused(missing: str) -> None:
    card = CARD.to_json() | {"combination": {k: v for k, v in FITTED.items() if k != missing}}
    with pytest.raises(ModelError, match="combination"):
        ModelCard.from_json(card)


@pytest.mark.parametrize("wrong", [[], "logistic", 3, True])
def test_what_is_no_object_is_refused(wrong: object) -> None:
    with pytest.raises(ModelError, match="no JSON object"):
        ModelCard.from_json(CARD.to_json() | {"combination": wrong})


def test_info_says_it_in_a_line(tmp_path: Path) -> None:
    (found,) = describe(str(saved(tmp_path / "m.safetensors", replace(CARD, combination=FITTED))))
    assert isinstance(found, dict)
    assert json.loads(json.dumps(found["combination"])) == FITTED
    lines = {" ".join(line.split()) for line in text(found).splitlines()}
    wanted = "logistic regression to water, grass, fitted on patches 500, reference labels.tif"
    assert f"maps {wanted}" in lines
    (plain,) = describe(str(saved(tmp_path / "n.safetensors", CARD)))
    assert isinstance(plain, dict)
    assert "regression" not in text(plain)


def test_it_is_read_without_torch(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", replace(CARD, combination=FITTED))
    code = (
        "import sys; from geoseg.models.card import read_card;"
        f"assert read_card({str(path)!r}).combination['classes'] == [0, 2];"
        "print({'torch', 'sklearn', 'rasterio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
