"""Files paired by their names."""

from __future__ import annotations

import pytest

from geoseg.errors import InputError
from geoseg.raster.pairing import file_names, pair_by_stem


def test_files_pair_by_their_names_without_ending() -> None:
    found = pair_by_stem(["m/b.tif", "m/a.tif", "m/x.tif"], ["i/a.jpg", "i/b.png", "i/y.jpg"])
    assert found.pairs == (("m/b.tif", "i/b.png"), ("m/a.tif", "i/a.jpg"))
    assert found.first_alone == ("m/x.tif",)
    assert found.second_alone == ("i/y.jpg",)


@pytest.mark.parametrize(
    ("first", "second"),
    [(["a.tif"], ["a.jpg", "a.png"]), (["a.tif", "b/a.tiff"], ["a.jpg"])],
)
def test_names_that_two_files_have_are_refused(first: list[str], second: list[str]) -> None:
    with pytest.raises(InputError, match="have the same name but for the ending"):
        pair_by_stem(first, second)


def test_names_that_nobody_asks_for_may_be_had_twice() -> None:
    found = pair_by_stem(["a.tif"], ["a.jpg", "b.jpg", "b.png"])
    assert found.second_alone == ("b.jpg", "b.png")


def test_a_sentence_names_five_files_at_most() -> None:
    assert file_names(["x/a.tif", "x/b.tif"]) == "a.tif, b.tif"
    assert file_names([f"x/{n}.tif" for n in range(6)]) == "0.tif, 1.tif, 2.tif, 3.tif, 4.tif, …"


def test_what_all_names_of_a_list_end_in_is_left_off() -> None:
    found = pair_by_stem(
        ["t/119_sat.jpg", "t/7_sat.jpg", "t/8_sat.jpg"], ["m/7_mask.png", "m/119_mask.png"]
    )
    assert found.pairs == (
        ("t/119_sat.jpg", "m/119_mask.png"), ("t/7_sat.jpg", "m/7_mask.png"),
    )  # fmt: skip
    assert found.first_alone == ("t/8_sat.jpg",)
    assert found.left_off == ("_sat", "_mask")
    assert found.note == "paired by their names without _sat and _mask"


@pytest.mark.parametrize(
    ("first", "second", "left_off"),
    [
        (["119_sat.jpg", "7_sat.jpg"], ["119.tif", "7.tif"], ("_sat", "")),
        (["119.tif"], ["119-ground-truth.png"], ("", "-ground-truth")),
        (["a_1_rgb.tif", "a_2_rgb.tif"], ["a_1_label.tif", "a_2_label.tif"], ("_rgb", "_label")),
        (["x_sat_v.jpg", "y_sat_v.jpg"], ["x_mask_v.png", "y_mask_v.png"], ("_sat_v", "_mask_v")),
    ],
)
def test_an_ending_is_one_word_or_several_of_one_list_or_both(
    first: list[str], second: list[str], left_off: tuple[str, str]
) -> None:
    found = pair_by_stem(first, second)
    assert len(found.pairs) == len(first)
    assert found.left_off == left_off


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["119_sat.jpg", "7_rgb.jpg"], ["119_mask.png", "7_mask.png"]),  # no ending of all
        (["field_1.jpg"], ["field_2.png"]),  # numbers are no endings
        (["_sat.jpg"], ["_mask.png"]),  # nothing would be left
        ([], ["a.png"]),
    ],
)
def test_what_has_no_common_ending_has_no_partner(first: list[str], second: list[str]) -> None:
    found = pair_by_stem(first, second)
    assert not found.pairs
    assert found.left_off is None
    assert found.note is None


def test_names_that_are_the_same_as_they_are_are_paired_so() -> None:
    found = pair_by_stem(["a_sat.jpg", "b_sat.jpg"], ["a_sat.png", "b_mask.png"])
    assert found.pairs == (("a_sat.jpg", "a_sat.png"),)
    assert found.left_off is None


def test_an_ending_that_makes_two_names_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"a_sat.jpg and a_sat.png have the same name"):
        pair_by_stem(["a_sat.jpg", "a_sat.png"], ["a_mask.png"])
