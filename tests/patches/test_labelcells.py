"""What cells of a table of labels mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import LabelError
from geoseg.patches.labelcells import Cells, join_names, split_names
from geoseg.raster.legend import Legend
from geoseg.raster.legend.written import parse_legend

LEGEND = parse_legend('1=water,7="bare, or sand",30=Forest')


def said(header: list[str], rows: list[list[str]], **options: object) -> tuple[Legend, list]:
    given_ = {"source": "t.csv", "column": None, "legend": None, **options}
    cells = Cells(header, **given_)  # type: ignore[arg-type]
    numbers = [cells.add(row, f"t.csv: line {n}") for n, row in enumerate(rows, start=2)]
    legend, states = cells.resolve()
    return legend, states[numbers].tolist()


def test_names_get_ids_from_one_in_their_order() -> None:
    legend, states = said(
        ["patch", "Classes"], [["a", "soy; corn"], ["b", "-"], ["c", "corn|corn"], ["d", ""]]
    )
    assert [(c.id, c.name) for c in legend.classes] == [(1, "corn"), (2, "soy")]
    assert states == [[1, 1], [0, 0], [1, 0], [255, 255]]


def test_whole_numbers_are_label_values() -> None:
    legend, states = said(["class"], [["176"], ["5;176"], ["1"]])
    assert legend.ids == (1, 5, 176)
    assert states == [[0, 0, 1], [0, 1, 1], [1, 0, 0]]


def test_classes_are_known_by_name_value_and_id() -> None:
    legend = Legend.of([(1, "water", None, (11, 12)), (2, "7", None, ())])
    for cell, wanted in [("WATER", [1, 0]), ("12", [1, 0]), ("1", [1, 0]), ("7", [0, 1])]:
        assert said(["class"], [[cell]], legend=legend)[1] == [wanted]
    # A name with a comma may stand alone, or among others in quotes.
    assert said(["class"], [["bare, or sand"]], legend=LEGEND)[1] == [[0, 1, 0]]
    assert said(["class"], [['"bare, or sand", forest']], legend=LEGEND)[1] == [[0, 1, 1]]


def test_a_column_a_class_may_leave_cells_unknown() -> None:
    header = ["patch", "soy", "corn", "nodata"]
    rows = [["a", "1", "", "x"], ["b", "no", "True", ""], ["c", "", "", ""]]
    legend, states = said(header, rows)
    assert legend.names == ("corn", "soy")
    assert states == [[255, 1], [1, 0], [255, 255]]
    known = ["patch", "note", "water", "forest", "7"]
    assert said(known, [["a", "?", "1", "0", ""]], legend=LEGEND)[1] == [[1, 255, 0]]


@pytest.mark.parametrize(
    ("header", "row", "options", "words"),
    [
        (["class"], ["lake"], {"legend": LEGEND}, ["line 2", "'lake'", "1 water"]),
        (["class"], [""], {}, ["no class in any row"]),
        (["class"], ['"a'], {}, ["line 2", "quote"]),
        (["patch", "area"], ["a", "3.5"], {}, ["line 2", "'3.5'", "--label-field"]),
        (["patch", "crop"], ["a", "1"], {"column": "kind"}, ["'kind'", "patch, crop"]),
        (["patch", "water"], ["a", "1"], {"legend": LEGEND}, ["'bare, or sand'"]),
        (["patch", "crop"], ["a", "1"], {"legend": LEGEND}, ["--label-field"]),
        (["patch"], ["a"], {}, ["'classes'"]),
        (["class"], [";".join(f"n{i}" for i in range(65))], {}, ["65 different names"]),
    ],
)
def test_cells_without_meaning_are_refused_in_a_line(
    header: list[str], row: list[str], options: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(LabelError) as caught:
        said(header, [row], **options)
    assert "\n" not in str(caught.value)
    assert "t.csv" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


NAMES = st.text('ab;|,"- é', min_size=1).map(str.strip).filter(bool)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_names_joined_come_apart_again(names: list[str]) -> None:
    assert join_names(names) != "-"
    assert split_names(join_names(names)) == names


def test_no_names_are_a_dash() -> None:
    assert join_names([]) == "-"
