from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.document import distinct
from geoseg.assessment.evaluating import Evaluated, Job
from geoseg.assessment.findings import Wanted
from geoseg.assessment.scoring import Scoring
from geoseg.assessment.sides import compare_sides
from geoseg.errors import GridError
from geoseg.raster.legend.written import parse_legend

Write = Callable[..., Path]
HERE = Affine(30, 0, 300000, 0, -30, 4000000)


def evaluate(
    predictions: list[Path], labels: Path, *, classes: str | None = "1=a,2=b", **options: Any
) -> Evaluated:
    legend = None if classes is None else parse_legend(classes)
    sides = compare_sides(
        [str(p) for p in predictions], str(labels), Scoring(classes=legend, **options)
    )
    return Job(sides=sides, wanted=Wanted()).run(workers=2)


# -- pixels once more -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_rows_are_the_pixels_that_were_counted(write: Write, tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(0)
    prediction = random.choice([1, 2, 9, 255], (50, 40))
    labels = random.choice([1, 2, 3, 7, 8, 255], (50, 40))
    sides = compare_sides(
        [str(write(tmp_path / "p.tif", prediction, dtype=dtype))],
        str(write(tmp_path / "l.tif", labels, dtype=dtype)),
        Scoring(
            classes=parse_legend(
                '[{"id": 1, "name": "a", "values": [1, 3]}, {"id": 2, "name": "b"}]'
            ),
            ignore=(2,),
            region="300060,3998800,301000,3999900",
        ),
    )
    (comparison,) = sides.comparisons
    counted = comparison.run(workers=1).confusion
    rows = ClassRows([comparison], counted_legend := comparison.run(workers=1).legend)
    pairs = np.zeros((256, 256), np.int64)
    for row, truth, found in rows.rows(workers=2):
        np.add.at(pairs, (truth, found[0]), 1)
        again = rows.read(
            type(rows.window)(row, rows.window.col, truth.shape[0], rows.window.width)
        )
        assert np.array_equal(again[0], truth)
        assert np.array_equal(again[1], found)
    n = len(counted_legend)
    assert np.array_equal(pairs[:n, :n], counted.counts)
    assert np.array_equal(pairs[:n, 255], counted.unpredicted)
    assert pairs.sum() == rows.window.area


# -- several predictions --------------------------------------------------------------------------


def test_predictions_are_compared_on_the_pixels_of_the_first(write: Write, tmp_path: Path) -> None:
    labels = write(tmp_path / "l.tif", [[1, 2, 2, 1]])
    first = write(tmp_path / "a.tif", [[1, 2, 2, 2]])
    # Twice as fine, of the same ground.
    half = Affine(15, 0, 300000, 0, -15, 4000000)
    fine = [[1, 1, 1, 1, 2, 2, 1, 1]] * 2
    second = write(tmp_path / "b.tif", fine, transform=half)
    got = evaluate([first, second], labels)
    assert [e.scores.pixel_accuracy for e in got.evaluations] == [0.75, 0.75]
    assert got.evaluations[1].confusion.counts[1, 0] == 1
    assert "to the first prediction's 4 × 1 px" in got.evaluations[1].notes[0]
    (apart,) = got.content["differences"]
    assert (apart["prediction"], apart["minus"]) == ("b.tif", "a.tif")
    assert apart["scores"]["pixel_accuracy"]["difference"] == 0


def test_classes_of_predictions_that_name_none_are_the_values_of_all(
    write: Write, tmp_path: Path
) -> None:
    labels = write(tmp_path / "l.tif", [[1, 2]])
    sides = [write(tmp_path / f"{v}.tif", [[1, v]]) for v in (5, 9)]
    got = evaluate(sides, labels, classes=None)
    assert [e.legend.ids for e in got.evaluations] == [(1, 2, 5, 9)] * 2


def test_strict_grid_refuses_labels_between_pixels_and_takes_shifted_ones(
    write: Write, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2]])
    aside = write(tmp_path / "a.tif", [[1, 2, 2]], transform=HERE @ Affine.translation(1, 0))
    between = write(tmp_path / "b.tif", [[1, 2, 2]], transform=HERE @ Affine.translation(0.4, 0))
    assert evaluate([prediction], aside, strict_grid=True).evaluations[0].scores.scored == 2
    with pytest.raises(GridError, match="does not lie on the prediction's pixels"):
        evaluate([prediction], between, strict_grid=True)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/x.tif", "b/y.tif"], ["x.tif", "y.tif"]),
        (["runs/a/x.tif", "runs/b/x.tif"], ["a/x.tif", "b/x.tif"]),
        (["x.tif", "x.tif"], ["x.tif (1)", "x.tif (2)"]),
    ],
)
def test_predictions_of_one_name_are_told_apart(paths: list[str], names: list[str]) -> None:
    assert distinct(paths) == names
