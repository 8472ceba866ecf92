from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.assessment.evaluate import compare
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.report import text
from geoseg.assessment.scoring import Scoring
from geoseg.errors import (
    BandError,
    LabelError,
    OptionError,
    RasterReadError,
)
from geoseg.raster.legend.written import parse_legend

WATER_FOREST = "1=water,2=forest"
Write = Callable[..., Path]
Run = Callable[..., Evaluation]


# -- counting --------------------------------------------------------------------------------------


def test_pixels_are_counted_by_true_and_predicted_class(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2], [2, 2, 255]])
    labels = write(tmp_path / "l.tif", [[1, 2, 2], [255, 2, 1]])
    found = run(prediction, labels)
    assert found.confusion.counts.tolist() == [[1, 0], [1, 2]]
    assert found.confusion.unpredicted.tolist() == [1, 0]
    assert (found.pixels, found.unlabelled) == (6, 1)
    assert found.scores.pixel_accuracy == 3 / 4
    assert found.scores.unpredicted_share == 1 / 5


def test_unpredicted_pixels_count_as_errors_where_asked(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 255, 2]])
    labels = write(tmp_path / "l.tif", [[1, 1, 2]])
    found = run(prediction, labels, unpredicted_is_wrong=True)
    assert found.scores.pixel_accuracy == 2 / 3
    assert found.scores.recall.tolist() == [1 / 2, 1]


def test_label_values_are_mapped_and_predictions_are_not(
    write: Write, run: Run, tmp_path: Path
) -> None:
    classes = (
        '[{"id": 1, "name": "water", "values": [11, 12]},'
        ' {"id": 11, "name": "forest", "values": [41]}]'
    )
    prediction = write(tmp_path / "p.tif", [[1, 1, 11, 11]])
    labels = write(tmp_path / "l.tif", [[11, 12, 41, 12]])
    found = run(prediction, labels, classes)
    assert found.confusion.counts.tolist() == [[2, 1], [0, 1]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_unknown_label_values_are_not_scored_but_counted(
    write: Write, run: Run, tmp_path: Path, dtype: str
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2, 1, 2]])
    labels = write(tmp_path / "l.tif", [[1, 2, 7, 9, 7]], dtype=dtype)
    found = run(prediction, labels)
    assert found.scores.scored == 2
    assert found.unknown_labels.listed == {7: 2, 9: 1}
    assert found.unknown_labels.pixels == 3
    assert "3 px of the labels hold values that are no class (7, 9): not scored" in text(found)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_predicted_values_without_class_are_unpredicted_and_counted(
    write: Write, run: Run, tmp_path: Path, dtype: str
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 0, 2, 0, 5, 255]], dtype=dtype)
    labels = write(tmp_path / "l.tif", [[1, 1, 2, 9, 2, 1]])
    found = run(prediction, labels)
    # The second 0 lies where nothing is labelled; 255 is nodata.
    assert found.unknown_predictions.listed == {0: 1, 5: 1}
    assert found.confusion.unpredicted.tolist() == [2, 1]
    assert found.scores.scored == 2


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_ignored_label_values_are_not_scored_and_not_unknown(
    write: Write, run: Run, tmp_path: Path, dtype: str
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2, 1, 1]])
    labels = write(tmp_path / "l.tif", [[1, 2, 0, 0, 9]], dtype=dtype)
    found = run(prediction, labels, ignore=[0])
    assert found.ignored == 2
    assert found.unknown_labels.listed == {9: 1}
    assert found.left_out == ()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_class_that_is_ignored_enters_no_mean(
    write: Write, run: Run, tmp_path: Path, dtype: str
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2, 2]])
    labels = write(tmp_path / "l.tif", [[1, 1, 2, 2]], dtype=dtype)
    found = run(prediction, labels, ignore=["forest"])
    assert found.ignored == 2
    assert found.confusion.counts.tolist() == [[1, 1], [0, 0]]
    assert found.left_out == (1,)
    assert found.scores.mean_iou == 1 / 2


def test_class_of_which_one_value_is_ignored_stays_in_the_means(
    write: Write, run: Run, tmp_path: Path
) -> None:
    classes = '[{"id": 1, "name": "water", "values": [11, 12]}, {"id": 2, "name": "forest"}]'
    prediction = write(tmp_path / "p.tif", [[1, 1, 2]])
    labels = write(tmp_path / "l.tif", [[11, 12, 2]])
    found = run(prediction, labels, classes, ignore=[12])
    assert found.left_out == ()
    assert found.scores.scored == 2


def test_classes_are_left_out_of_the_means_by_id_or_name(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2, 2]])
    labels = write(tmp_path / "l.tif", [[1, 1, 2, 2]])
    for item in (1, "water", "Water"):
        found = run(prediction, labels, leave_out=[item])
        assert found.scores.mean_iou == 2 / 3
        assert found.scores.pixel_accuracy == 3 / 4


def test_nodata_of_the_labels_is_not_scored_whatever_it_is(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2]])
    labels = write(tmp_path / "l.tif", [[1, 2, 2]], nodata=2)
    found = run(prediction, labels)
    assert found.unlabelled == 2
    assert found.confusion.counts.tolist() == [[1, 0], [0, 0]]


def test_nodata_of_the_prediction_is_no_class_even_if_a_class_has_that_id(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2]], nodata=2)
    labels = write(tmp_path / "l.tif", [[1, 2, 2]])
    found = run(prediction, labels)
    assert found.confusion.unpredicted.tolist() == [0, 2]
    assert found.unknown_predictions.pixels == 0


def test_nan_labels_are_unlabelled(write: Write, run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2]])
    labels = write(tmp_path / "l.tif", [[1, math.nan, 1.5]], dtype="float32", nodata=None)
    found = run(prediction, labels)
    assert found.unlabelled == 1
    assert found.unknown_labels.listed == {1.5: 1}


def test_measurements_instead_of_classes_are_not_listed_value_by_value(
    write: Write, run: Run, tmp_path: Path
) -> None:
    values = np.arange(2000, dtype=np.float32).reshape(40, 50) / 7
    prediction = write(tmp_path / "p.tif", np.ones((40, 50)))
    labels = write(tmp_path / "l.tif", values, dtype="float32", nodata=None)
    found = run(prediction, labels)  # 7 / 7 and 14 / 7 are classes by chance
    assert found.unknown_labels.listed == {}
    assert found.unknown_labels.pixels == 1998
    assert "very many values" in text(found)


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[int]]:
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    values = st.sampled_from([0, 1, 2, 3, 7, 255])
    rasters = [
        np.array(
            draw(st.lists(values, min_size=height * width, max_size=height * width)), np.uint8
        ).reshape(height, width)
        for _ in range(2)
    ]
    rasters[0][0, 0] = rasters[1][0, 0] = 2  # something to score
    return rasters[0], rasters[1], draw(st.lists(st.sampled_from([0, 7, 3]), unique=True))


@given(cases(), st.sampled_from(["uint8", "int16", "float64"]))
@settings(max_examples=40, deadline=None)
def test_counts_equal_those_made_pixel_by_pixel(
    write: Write,
    run: Run,
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[NDArray[np.uint8], NDArray[np.uint8], list[int]],
    dtype: str,
) -> None:
    guess, truth, ignore = case
    folder = tmp_path_factory.mktemp("maps")
    legend = '[{"id": 2, "name": "a", "values": [1, 2]}, {"id": 3, "name": "b"}]'
    found = run(
        write(folder / "p.tif", guess),
        write(folder / "l.tif", truth, dtype=dtype),
        legend,
        ignore=ignore,
    )
    index_of_value, index_of_id = {1: 0, 2: 0, 3: 1}, {2: 0, 3: 1}
    counts: Counter[Any] = Counter()
    for p, t in zip(guess.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if t == 255:
            counts["unlabelled"] += 1
        elif t in ignore:
            counts["ignored"] += 1
        elif t not in index_of_value:
            counts["unknown label", t] += 1
        else:
            counts[index_of_value[t], index_of_id.get(p)] += 1
            if p not in index_of_id and p != 255:
                counts["unknown prediction", p] += 1
    assert found.unlabelled == counts["unlabelled"]
    assert found.ignored == counts["ignored"]
    assert found.confusion.counts.tolist() == [[counts[i, j] for j in (0, 1)] for i in (0, 1)]
    assert found.confusion.unpredicted.tolist() == [counts[i, None] for i in (0, 1)]
    for what, tally in (
        ("unknown label", found.unknown_labels),
        ("unknown prediction", found.unknown_predictions),
    ):
        wanted = {key[1]: n for key, n in counts.items() if key[0] == what}
        assert tally.listed == wanted
        assert tally.pixels == sum(wanted.values())


@pytest.mark.parametrize("workers", [1, 3])
def test_counts_of_many_strips_and_threads_are_the_same(
    write: Write, run: Run, tmp_path: Path, workers: int
) -> None:
    rng = np.random.default_rng(0)
    guess, truth = rng.integers(0, 4, (2, 700, 900)).astype(np.uint8)
    prediction = write(tmp_path / "p.tif", guess, tiled=True, blockxsize=64, blockysize=64)
    labels = write(tmp_path / "l.tif", truth, blockysize=5)
    seen: list[int] = []
    comparison = compare(prediction, labels, Scoring(classes=parse_legend("1=a,2=b,3=c")))
    found = comparison.run(workers=workers, progress=seen.append)
    wanted = np.zeros((4, 4), np.int64)
    np.add.at(wanted, (truth, guess), 1)
    assert np.array_equal(found.confusion.counts, wanted[1:, 1:])
    assert np.array_equal(found.confusion.unpredicted, wanted[1:, 0])
    assert sum(seen) == comparison.window.area == 700 * 900
    assert len(seen) > 1


# -- classes ---------------------------------------------------------------------------------------


def test_classes_come_from_the_prediction_s_legend(
    write: Write, class_raster: Write, run: Run, tmp_path: Path
) -> None:
    legend = parse_legend("1=water,2=forest,9=ice")
    prediction = class_raster(tmp_path / "p.tif", [[1, 2, 2]], legend)
    found = run(prediction, write(tmp_path / "l.tif", [[1, 1, 2]]), None)
    assert found.legend.names == ("water", "forest", "ice")
    assert math.isnan(found.scores.iou[2])
    assert found.notes == ()


def test_classes_come_from_the_labels_where_the_prediction_names_none(
    write: Write, class_raster: Write, run: Run, tmp_path: Path
) -> None:
    labels = class_raster(tmp_path / "l.tif", [[1, 1, 2]], parse_legend(WATER_FOREST))
    found = run(write(tmp_path / "p.tif", [[1, 2, 2]]), labels, None)
    assert found.legend.names == ("water", "forest")


def test_without_any_legend_the_values_of_both_are_the_classes(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 5]])
    found = run(prediction, write(tmp_path / "l.tif", [[1, 2, 2]]), None, ignore=[7])
    assert found.legend.ids == (1, 2, 5)
    assert found.confusion.counts.tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert any("neither raster names its classes" in note for note in found.notes)


def test_without_any_legend_values_beyond_8_bits_are_refused(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1]])
    labels = write(tmp_path / "l.tif", [[1, 1]], dtype="int16")
    with pytest.raises(LabelError, match=r"l\.tif names no classes and holds int16 .*--classes"):
        run(prediction, labels, None)


def test_names_that_differ_for_the_same_id_are_told(
    class_raster: Write, run: Run, tmp_path: Path
) -> None:
    prediction = class_raster(tmp_path / "p.tif", [[1, 2]], parse_legend(WATER_FOREST))
    labels = class_raster(tmp_path / "l.tif", [[1, 2]], parse_legend("1=ice,2=Forest,3=x"))
    (said,) = run(prediction, labels, None).notes
    assert said == "class names differ: 1 is 'water' in the prediction and 'ice' in the labels"


@pytest.mark.parametrize("option", ["ignore", "leave_out"])
def test_class_that_is_none_is_refused_before_anything_is_read(
    run: Run, write: Write, tmp_path: Path, option: str
) -> None:
    prediction = write(tmp_path / "p.tif", [[1]])
    with pytest.raises(LabelError, match=r"'lake'.* 1 water, 2 forest"):
        run(prediction, prediction, **{option: ["lake"]})


def test_leaving_out_every_class_is_refused(write: Write, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.tif", [[1]])
    with pytest.raises(OptionError, match="nothing to average"):
        compare(
            prediction,
            prediction,
            Scoring(classes=parse_legend(WATER_FOREST), ignore=("water",), leave_out=(2,)),
        )


# -- what cannot be evaluated ----------------------------------------------------------------------


def test_several_bands_are_refused(write: Write, run: Run, tmp_path: Path) -> None:
    one = write(tmp_path / "p.tif", [[1, 1]])
    three = write(tmp_path / "rgb.tif", np.ones((3, 1, 2)))
    for pair in ((one, three), (three, one)):
        with pytest.raises(BandError, match=r"rgb\.tif has 3 bands"):
            run(*pair)


def test_labels_without_anything_to_score_are_refused(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1]])
    labels = write(tmp_path / "l.tif", [[255, 7]])
    with pytest.raises(LabelError, match=r"1 px are nodata.*1 px hold a value.*\(7\)"):
        run(prediction, labels)


def test_prediction_of_nothing_where_labelled_is_refused_unless_it_is_wrong(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[255, 9, 1]])
    labels = write(tmp_path / "l.tif", [[1, 2, 255]])
    with pytest.raises(LabelError, match=r"p\.tif predicts no class where .* \(2 px\); 1 px hold"):
        run(prediction, labels)
    assert run(prediction, labels, unpredicted_is_wrong=True).scores.pixel_accuracy == 0


def test_rasters_of_nothing_at_all_are_refused(write: Write, run: Run, tmp_path: Path) -> None:
    nothing = write(tmp_path / "p.tif", [[255, 255]])
    with pytest.raises(LabelError, match="no class at the same place"):
        run(nothing, nothing, None)


def test_truncated_labels_are_an_error(write: Write, run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 3, (600, 600)).astype(np.uint8)
    prediction = write(tmp_path / "p.tif", pixels)
    labels = write(tmp_path / "l.tif", pixels, blockysize=16)
    whole = labels.read_bytes()
    labels.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterReadError, match=r"l\.tif.*truncated"):
        run(prediction, labels)


def test_255_without_a_nodata_tag_is_unlabelled_unless_it_is_a_class(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 2, 2]])
    labels = write(tmp_path / "l.tif", [[1, 255, 2]], nodata=None)
    found = run(prediction, labels)
    assert (found.unlabelled, found.unknown_labels.pixels) == (1, 0)
    classes = '[{"id": 1, "name": "a"}, {"id": 2, "name": "b", "values": [2, 255]}]'
    assert run(prediction, labels, classes).scores.scored == 3
