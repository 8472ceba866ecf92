from __future__ import annotations

import itertools
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.inference.cleanup import SmallComponents, remove_small_components

NODATA = 255
ClassMap = NDArray[np.uint8]


def drawn(*rows: str) -> ClassMap:
    """A map as one sees it: a digit is a class, a point is nodata."""
    return np.array([[NODATA if c == "." else int(c) for c in row] for row in rows], np.uint8)


def components(class_map: ClassMap) -> tuple[NDArray[np.int64], list[tuple[int, int, int]]]:
    """Number of each pixel's component (−1: nodata), and (class, area, first pixel) of each."""
    numbers = np.full(class_map.shape, -1, np.int64)
    found: list[tuple[int, int, int]] = []
    for value in np.unique(class_map[class_map != NODATA]):
        labels, count = ndimage.label(class_map == value)
        for label in range(1, count + 1):
            pixels = np.flatnonzero(labels == label)
            numbers.flat[pixels] = len(found)
            found.append((int(value), pixels.size, int(pixels[0])))
    return numbers, found


def neighbours(numbers: NDArray[np.int64], count: int) -> list[set[int]]:
    touching: list[set[int]] = [set() for _ in range(count)]
    for one, other in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
        for a, b in zip(one.flat, other.flat, strict=True):
            if a != b and a >= 0 and b >= 0:
                touching[a].add(int(b))
                touching[b].add(int(a))
    return touching


def by_the_rule(class_map: ClassMap, min_area: int, keep: Collection[int] = ()) -> ClassMap:
    """The rule, word by word and slowly."""
    numbers, found = components(class_map)
    touching = neighbours(numbers, len(found))

    def largest(several: Collection[int]) -> int:
        return max(several, key=lambda k: (found[k][1], -found[k][2]))

    given_to = {
        k: k for k, (value, area, _) in enumerate(found) if area >= min_area or value in keep
    }
    while True:
        this_round = {
            k: largest({given_to[t] for t in touching[k] if t in given_to})
            for k in range(len(found))
            if k not in given_to and touching[k] & given_to.keys()
        }
        if not this_round:
            break
        given_to |= this_round
    for k in range(len(found)):
        if k not in given_to:
            island = {k}
            while more := set().union(*(touching[i] for i in island)) - island:
                island |= more
            given_to |= dict.fromkeys(island, largest(island))
    result = class_map.copy()
    for k in range(len(found)):
        result[numbers == k] = found[given_to[k]][0]
    return result


def streamed(
    class_map: ClassMap,
    min_area: int,
    folder: Path,
    *,
    pieces: Sequence[int] = (),
    **options: Any,
) -> ClassMap:
    """The stream's result for a map added in pieces of so many rows, and what is left at last."""
    options.setdefault("classes", 255)
    with SmallComponents(class_map.shape[1], min_area, folder=folder, **options) as stream:
        row = 0
        for piece in pieces:
            stream.add_rows(class_map[row : row + piece])
            row += piece
        stream.add_rows(class_map[row:])
        bands = list(stream.finish())
    return np.concatenate(bands) if bands else class_map[:0]


@st.composite
def class_maps(draw: st.DrawFn) -> ClassMap:
    """Maps of up to 14² pixels: noise, blobs with specks, stripes; some of it nodata."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    classes = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cell = draw(st.sampled_from([(1, 1), (2, 3), (4, 4), (7, 5), (1, 20), (20, 1)]))
    coarse = rng.integers(0, classes, (height // cell[0] + 1, width // cell[1] + 1))
    class_map = np.kron(coarse, np.ones(cell, np.int64))[:height, :width].astype(np.uint8)
    for share, values in (
        (draw(st.sampled_from([0.0, 0.1, 0.4])), rng.integers(0, classes, class_map.shape)),
        (draw(st.sampled_from([0.0, 0.1, 0.4])), np.full(class_map.shape, NODATA)),
    ):
        class_map = np.where(rng.random(class_map.shape) < share, values, class_map)
    return class_map.astype(np.uint8)


keeps = st.sets(st.integers(0, 4), max_size=2)
areas = st.integers(0, 30)


@settings(max_examples=400, deadline=None)
@given(
    class_map=class_maps(),
    min_area=areas,
    keep=keeps,
    band_rows=st.integers(1, 6),
    workers=st.integers(1, 3),
    pieces=st.lists(st.integers(0, 9), max_size=4),
)
def test_stream_equals_the_rule_for_any_bands_pieces_and_workers(
    class_map: ClassMap,
    min_area: int,
    keep: set[int],
    band_rows: int,
    workers: int,
    pieces: list[int],
) -> None:
    result = streamed(
        class_map,
        min_area,
        Path(tempfile.gettempdir()),
        pieces=pieces,
        classes=5,
        keep=keep,
        band_rows=band_rows,
        workers=workers,
    )
    np.testing.assert_array_equal(result, by_the_rule(class_map, min_area, keep))


@settings(max_examples=200, deadline=None)
@given(class_map=class_maps(), min_area=areas, keep=keeps)
def test_result_keeps_what_stands_leaves_nothing_small_but_islands_and_is_final(
    class_map: ClassMap, min_area: int, keep: set[int]
) -> None:
    result = remove_small_components(class_map, min_area, classes=5, keep=keep)

    before, found_before = components(class_map)
    for k, (value, area, _) in enumerate(found_before):
        if area >= min_area or value in keep:
            assert (result[before == k] == value).all()
    np.testing.assert_array_equal(result == NODATA, class_map == NODATA)
    after, found_after = components(result)
    touching = neighbours(after, len(found_after))
    for k, (value, area, _) in enumerate(found_after):
        assert area >= min_area or value in keep or not touching[k]

    again = remove_small_components(result, min_area, classes=5, keep=keep)
    np.testing.assert_array_equal(again, result)


@settings(max_examples=100, deadline=None)
@given(class_map=class_maps(), min_area=areas, keep=keeps, order=st.permutations(range(5)))
def test_classes_are_names_only(
    class_map: ClassMap, min_area: int, keep: set[int], order: list[int]
) -> None:
    renamed = np.arange(256, dtype=np.uint8)
    renamed[:5] = order
    np.testing.assert_array_equal(
        remove_small_components(
            renamed[class_map], min_area, classes=5, keep={order[k] for k in keep}
        ),
        renamed[remove_small_components(class_map, min_area, classes=5, keep=keep)],
    )


@pytest.mark.parametrize(
    ("before", "min_area", "keep", "after"),
    [
        pytest.param(["000", "010", "000"], 2, [], ["000", "000", "000"], id="speck in a field"),
        pytest.param(["0001222"], 2, [], ["0000222"], id="a tie goes to the first pixel"),
        pytest.param(["00012222"], 2, [], ["00022222"], id="the largest neighbour"),
        pytest.param(["000.1222"], 2, [], ["000.2222"], id="nodata neither fills nor connects"),
        pytest.param(["01", "10"], 2, [], ["00", "00"], id="corners do not connect"),
        pytest.param(
            ["0000012433333"], 4, [], ["0000000333333"], id="second round, tie to the first pixel"
        ),
        pytest.param(
            ["00000124333333"],
            4,
            [],
            ["00000033333333"],
            id="in the second round what was given away counts as what it was given to",
        ),
        pytest.param(
            ["000011244333333"],
            4,
            [],
            ["000000333333333"],
            id="area of what it was given to, not its own",
        ),
        pytest.param(["1223.4444"], 5, [], ["2222.4444"], id="islands below the least area"),
        pytest.param(["1122"], 3, [], ["1111"], id="island above the least area, with a tie"),
        pytest.param(["00100200"], 2, [1], ["00100000"], id="kept class stays"),
        pytest.param(["12"], 3, [1], ["11"], id="kept class fills though it is small"),
        pytest.param(["0001200"], 3, [2], ["0000222"], id="kept class is largest by area alone"),
        pytest.param(["012"], 1, [], ["012"], id="least area of one"),
        pytest.param(["012"], 0, [], ["012"], id="least area of zero"),
        pytest.param(["0110"], 2, [], ["1111"], id="exactly the least area stands"),
        pytest.param(["..", ".."], 9, [], ["..", ".."], id="nodata alone"),
    ],
)
def test_small_examples(
    before: list[str], min_area: int, keep: list[int], after: list[str]
) -> None:
    result = remove_small_components(drawn(*before), min_area, classes=5, keep=keep)
    np.testing.assert_array_equal(result, drawn(*after))
    np.testing.assert_array_equal(by_the_rule(drawn(*before), min_area, keep), drawn(*after))


@pytest.mark.parametrize("band_rows", [1, 2, 3, 4])
def test_area_is_that_of_the_whole_map_not_of_the_band(tmp_path: Path, band_rows: int) -> None:
    # Class 0 has 8 pixels and class 2 has 6, but in the first row it is 1 against 3.
    class_map = drawn("03222", "0.222", "0....", "00000")
    result = streamed(class_map, 3, tmp_path, band_rows=band_rows)
    np.testing.assert_array_equal(result, drawn("00222", "0.222", "0....", "00000"))


@pytest.mark.parametrize("band_rows", [1, 2, 3])
def test_component_that_closes_below_is_one_component(tmp_path: Path, band_rows: int) -> None:
    # Both arms of the U are small in every band; together they have 8 pixels and stand.
    class_map = drawn("01110", "01110", "00000", ".....", "22222")
    result = streamed(class_map, 8, tmp_path, band_rows=band_rows)
    np.testing.assert_array_equal(result, drawn("00000", "00000", "00000", ".....", "22222"))


def spiral(size: int) -> ClassMap:
    """One path of single pixels from the corner to the middle, nodata beside it."""
    path = np.full((size, size), NODATA, np.uint8)
    top, left, bottom, right = 0, 0, size - 1, size - 1
    while top <= bottom and left <= right:
        path[top, max(left - 1, 0) : right + 1] = 0
        path[top : bottom + 1, right] = 0
        path[bottom, left : right + 1] = 0
        path[top + 2 : bottom + 1, left] = 0
        if top + 2 <= bottom:
            path[top + 2, left] = 0
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return path


WORST = {
    "checkerboard": np.indices((60, 50)).sum(axis=0) % 2,
    "comb": np.where(np.arange(60)[:, None] == 59, 0, np.arange(50) % 2),
    "comb upside down": np.where(np.arange(60)[:, None] == 0, 0, np.arange(50) % 2),
    "spiral": spiral(51),
    "segments of a spiral": np.where(spiral(51) == 0, np.indices((51, 51)).sum(0) // 3 % 4, NODATA),
    "one class": np.zeros((60, 50)),
    "nodata": np.full((60, 50), NODATA),
    "noise": np.random.default_rng(1).integers(0, 7, (60, 50)),
    "254 classes": np.random.default_rng(2).integers(0, 254, (60, 50)),
    "one row": np.random.default_rng(3).integers(0, 3, (1, 500)),
    "one column": np.random.default_rng(4).integers(0, 3, (500, 1)),
}


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("min_area", [2, 7, 40, 10_000])
def test_worst_maps_follow_the_rule(tmp_path: Path, name: str, min_area: int) -> None:
    class_map = WORST[name].astype(np.uint8)
    expected = by_the_rule(class_map, min_area)
    for band_rows, workers in ((1, 2), (7, 1), (16, 4)):
        result = streamed(class_map, min_area, tmp_path, band_rows=band_rows, workers=workers)
        np.testing.assert_array_equal(result, expected)


def test_larger_map_is_the_same_for_every_band_height_and_number_of_workers(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    blobs = np.kron(rng.integers(0, 4, (16, 20)), np.ones((25, 20), np.int64))
    class_map = np.where(rng.random(blobs.shape) < 0.2, rng.integers(0, 4, blobs.shape), blobs)
    class_map = class_map.astype(np.uint8)
    class_map[:, :3] = NODATA
    results = [
        streamed(class_map, 300, tmp_path, band_rows=band_rows, workers=workers)
        for band_rows, workers in ((None, 4), (1, 1), (32, 3), (399, 2), (400, 2), (5000, 4))
    ]
    for one, other in itertools.pairwise(results):
        np.testing.assert_array_equal(one, other)
    found = components(results[0])[1]
    assert min(area for _, area, _ in found) >= 300


def test_nodata_may_be_any_value() -> None:
    class_map = np.array([[0, 1, 1, 1, 2, 0, 2]], np.uint8)
    result = remove_small_components(class_map, 2, classes=3, nodata=0)
    np.testing.assert_array_equal(result, [[0, 1, 1, 1, 1, 0, 2]])
