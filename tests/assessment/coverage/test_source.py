"""What may be measured, and what is told of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.assessment.coverage.source import open_source
from geoseg.errors import BandError, LabelError, OptionError
from geoseg.raster.legend.written import parse_legend

Write = Callable[..., Path]
CLASSES = parse_legend('1=water,2="forest, open",3=3rd,4=grass')


def test_classes_are_found_by_name_or_id_and_once(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "m.tif", [[1]])
    found = open_source(raster, target=["Water,4", "water"], excluded=["2"], classes=CLASSES)
    assert found.names(found.target) == ("water", "grass")
    assert found.names(found.excluded) == ("forest, open",)


def test_a_name_may_hold_a_comma(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "m.tif", [[1]])
    found = open_source(raster, target=["forest, open"], classes=CLASSES)
    assert found.target == (1,)


@pytest.mark.parametrize(
    ("target", "exclude", "error", "words"),
    [
        (["ice"], [], LabelError, "m.tif: no class is named 'ice'; there are 1 water"),
        (["9"], [], LabelError, "m.tif: no class has the id 9; there are 1 water"),
        (["water"], ["1"], OptionError, "'water' is both --target and --exclude"),
        (["water,,3"], [], OptionError, "holds an empty class"),
        ([], [], OptionError, "name one with --target"),
    ],
)
def test_classes_that_are_none_are_told(
    write: Write,
    tmp_path: Path,
    target: list[str],
    exclude: list[str],
    error: type[Exception],
    words: str,
) -> None:
    raster = write(tmp_path / "m.tif", [[1]])
    with pytest.raises(error, match=words):
        open_source(raster, target=target, excluded=exclude, classes=CLASSES)


def test_names_need_a_legend_and_wide_values_too(write: Write, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="names no classes, so 'forest' is none"):
        open_source(write(tmp_path / "a.tif", [[1]]), target=["forest"])
    with pytest.raises(LabelError, match="say with --classes what they mean"):
        open_source(write(tmp_path / "b.tif", [[1]], dtype="uint16"), target=["1"])


def test_several_bands_are_no_class_raster(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "p.tif", [[[1]], [[0]]], names=("a", "b"))
    with pytest.raises(BandError, match=r"2 bands \(a, b\).*--from-probabilities"):
        open_source(raster, target=["a"])
    with pytest.raises(LabelError, match="no class is named 'c'; there are 1 a, 2 b"):
        open_source(raster, target=["c"], probabilities=True)
    with pytest.raises(OptionError, match="no --classes"):
        open_source(raster, target=["a"], probabilities=True, classes=CLASSES)
