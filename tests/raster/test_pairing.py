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
