"""Sums over finished work: the same however it came, another when a bit is."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.raster.cog.tilelist import TileList, TilePlace
from geoseg.raster.sums import DamagedError, FileSum, RowSums, check_file


def test_a_file_that_grows_has_the_sum_of_what_is_asked_for(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(b"head" + b"abc")
    found = FileSum(path, start=4)
    assert found.upto(2) == zlib.crc32(b"ab")
    path.write_bytes(b"head" + b"abcdef")
    assert found.upto(6) == zlib.crc32(b"abcdef")
    assert found.upto(3) == zlib.crc32(b"abc")  # fewer than before
    with pytest.raises(DamagedError, match=r"raw, which an earlier run had finished, is damaged"):
        found.upto(7)


def test_a_file_that_is_another_is_damaged(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(b"finished, and more")
    found = check_file(path, 8, zlib.crc32(b"finished"))
    assert found.upto(18) == zlib.crc32(path.read_bytes())
    with pytest.raises(DamagedError):
        check_file(path, 8, zlib.crc32(b"Finished"))


@given(cuts=st.lists(st.integers(1, 9), max_size=6), seed=st.integers(0, 9))
def test_sums_of_rows_depend_on_the_rows_alone(cuts, seed):
    data = np.random.default_rng(seed).random((2, sum(cuts), 3), np.float32)
    sums, row = RowSums(2), 0
    for count in cuts:
        sums.add(row, data[:, row : row + count])
        row += count
    assert sums.of(row) == tuple(zlib.crc32(band.tobytes()) for band in data)
    sums.check(row, [zlib.crc32(band.tobytes()) for band in data], "rows")


def test_the_last_two_sums_of_rows_are_known_and_no_others():
    sums = RowSums(1)
    for row in range(3):
        sums.add(row, np.full((1, 1, 4), row, np.uint8))
    assert sums.of(1) is None
    assert sums.of(2) is not None
    sums.add(9, np.zeros((1, 1, 4), np.uint8))  # out of order
    assert sums.of(10) is None
    with pytest.raises(DamagedError):
        sums.check(3, [1], "rows")


def test_a_list_of_tiles_that_is_another_is_damaged(tmp_path):
    tiles = TileList(tmp_path / "list", 0)
    tiles.add(TilePlace(0, 1, 2, 3, 4, 5))
    noted, total = tiles.size, tiles.noted_sum
    tiles.add(TilePlace(0, 1, 3, 3, 4, 5))
    tiles.close()
    again = TileList(tmp_path / "list", noted, total)
    assert again.taken == [TilePlace(0, 1, 2, 3, 4, 5)]
    again.close()
    with pytest.raises(DamagedError, match="list"):
        TileList(tmp_path / "list", noted, total + 1)
