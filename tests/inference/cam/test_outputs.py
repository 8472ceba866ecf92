"""What a run leaves when its inputs are odd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.errors import LabelError, ModelError, OptionError

PIXELS = np.random.default_rng(4).integers(20, 280, (2, 40, 50)).astype(np.uint16)


@pytest.fixture
def one_class(write_scene: Callable[..., Path]) -> Path:
    return write_scene(
        np.full((1, 40, 50), 5, np.uint8), name="labels.tif", nodata=255, band_names=None
    )


def test_a_report_does_without_a_regression_that_cannot_be_fitted(
    write_scene: Any, presence_bundle: Any, run_cam: Any, one_class: Path, tmp_path: Path
) -> None:
    result = run_cam(
        write_scene(PIXELS),
        tmp_path / "cam.tif",
        presence_bundle(),
        reference=one_class,
        outputs={"report": tmp_path / "report.html"},
        page=lambda made: " ".join(made.scores.ways),
    )

    assert (tmp_path / "report.html").read_text() == "argmax zscore median"
    assert any("logistic is left out" in note for note in result.notes)


def test_a_model_that_shall_keep_a_regression_cannot_do_without(
    write_scene: Any, presence_bundle: Any, run_cam: Any, one_class: Path, tmp_path: Path
) -> None:
    with pytest.raises(LabelError, match="of one class"):
        run_cam(
            write_scene(PIXELS),
            tmp_path / "cam.tif",
            presence_bundle(),
            reference=one_class,
            outputs={"fitted_model": tmp_path / "fitted.safetensors"},
        )

    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif", "labels.tif"}


@pytest.mark.parametrize(
    "outputs", [{"weak_labels": "cam.tiff"}, {"weak_labels": "w.tif", "confidence": "w.tiff"}]
)
def test_rasters_do_not_share_a_style(
    write_scene: Any, presence_bundle: Any, run_cam: Any, tmp_path: Path, outputs: dict[str, str]
) -> None:
    with pytest.raises(OptionError, match="style"):
        run_cam(
            write_scene(PIXELS),
            tmp_path / "cam.tif",
            presence_bundle(),
            outputs={name: tmp_path / path for name, path in outputs.items()},
        )


def test_a_report_is_a_page(
    write_scene: Any, presence_bundle: Any, run_cam: Any, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"NAME\.html"):
        run_cam(
            write_scene(PIXELS),
            tmp_path / "cam.tif",
            presence_bundle(),
            outputs={"weak_labels": tmp_path / "w.tif", "report": tmp_path / "cam.qml"},
        )


def test_a_report_appears_on_another_disk(
    write_scene: Any,
    presence_bundle: Any,
    run_cam: Any,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nothing of it is moved from where the rasters are made."""
    page = tmp_path_factory.mktemp("elsewhere") / "report.html"
    run_cam(
        write_scene(PIXELS),
        tmp_path / "cam.tif",
        presence_bundle(),
        outputs={"weak_labels": tmp_path / "w.tif", "report": page},
        page=lambda _: "said",
    )

    assert page.read_text() == "said"
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.json"]


def test_without_a_raster_there_is_no_report(
    write_scene: Any, presence_bundle: Any, run_cam: Any, tmp_path: Path
) -> None:
    def fail(_: object) -> str:
        raise LabelError("no")

    with pytest.raises(LabelError):
        run_cam(
            write_scene(PIXELS),
            tmp_path / "cam.tif",
            presence_bundle(),
            outputs={"weak_labels": tmp_path / "w.tif", "report": tmp_path / "r.html"},
            page=fail,
        )

    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif"}


def test_a_network_beyond_its_numbers_is_no_map(
    write_scene: Any, presence_bundle: Any, run_cam: Any, tmp_path: Path
) -> None:
    bundle = presence_bundle()
    with torch.no_grad():
        bundle.network.dense.weight.fill_(3e38)

    with pytest.raises(ModelError, match="not a number"):
        run_cam(write_scene(PIXELS), tmp_path / "cam.tif", bundle)

    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif"}
