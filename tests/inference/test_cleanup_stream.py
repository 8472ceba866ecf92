from __future__ import annotations

import errno
import io
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from geoseg.errors import InputError, LabelError, OptionError, OutputError
from geoseg.inference.cleanup import SmallComponents, remove_small_components

SPECK = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)


def clean(class_map: NDArray[np.uint8], **options: Any) -> NDArray[np.uint8]:
    with SmallComponents(class_map.shape[1], **options) as stream:
        stream.add_rows(class_map)
        return np.concatenate(list(stream.finish()))


def test_rows_may_be_overwritten_after_they_were_added(tmp_path: Path) -> None:
    class_map = SPECK
    with SmallComponents(3, 2, classes=2, folder=tmp_path) as stream:
        row = np.empty((1, 3), np.uint8)
        for given_row in class_map:
            row[0] = given_row
            stream.add_rows(row)
        row[:] = 1
        result = np.concatenate(list(stream.finish()))
    np.testing.assert_array_equal(result, np.zeros((3, 3)))


def test_map_without_rows_gives_no_rows(tmp_path: Path) -> None:
    with SmallComponents(3, 2, classes=2, folder=tmp_path) as stream:
        assert list(stream.finish()) == []


def workers_alive() -> int:
    return sum(thread.name.startswith("components") for thread in threading.enumerate())


def test_nothing_is_left_after_the_last_row(tmp_path: Path) -> None:
    stream = SmallComponents(3, 2, classes=2, folder=tmp_path)
    stream.add_rows(SPECK)
    list(stream.finish())
    assert not list(tmp_path.iterdir())
    assert not workers_alive()


def test_nothing_is_left_after_an_interruption(tmp_path: Path) -> None:
    def interrupted() -> None:
        with SmallComponents(3, 2, classes=2, folder=tmp_path, band_rows=1) as stream:
            stream.add_rows(SPECK)
            next(stream.finish())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())
    assert not workers_alive()


@pytest.mark.parametrize("room", [0, 10, 300, 1500])
def test_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    left = room

    class SmallDisk(io.FileIO):
        def write(self, data: Any) -> int:
            nonlocal left
            if left <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = super().write(memoryview(data)[:left])
            left -= written
            return written

    def open_on_small_disk(**_: Any) -> SmallDisk:
        path = tmp_path / f"spill{len(list(tmp_path.iterdir()))}"
        return SmallDisk(path, "w+")

    monkeypatch.setattr(tempfile, "TemporaryFile", open_on_small_disk)
    noise = np.random.default_rng(1).integers(0, 7, (20, 50), dtype=np.uint8)
    with pytest.raises(OutputError, match="No space left on device; free some space") as caught:
        clean(noise, min_area=5, classes=7, folder=tmp_path, band_rows=4)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert not workers_alive()


def test_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        SmallComponents(3, 2, classes=2, folder=tmp_path / "nowhere")


@pytest.mark.parametrize("band_rows", [1, 2, 10])
def test_unknown_class_is_named_with_its_place(tmp_path: Path, band_rows: int) -> None:
    class_map = np.zeros((4, 3), np.uint8)
    class_map[3, 2] = 7
    with pytest.raises(LabelError, match=r"class 7 at row 3, column 2 .* none of its 2 classes"):
        clean(class_map, min_area=2, classes=2, folder=tmp_path, band_rows=band_rows)


@pytest.mark.parametrize(
    "options",
    [
        {"min_area": -1},
        {"width": 0},
        {"classes": 0},
        {"classes": 256},
        {"keep": [2]},
        {"keep": [-1]},
        {"nodata": 256},
        {"workers": 0},
        {"band_rows": 0},
        {"band_rows": 2**31},
    ],
)
def test_options_without_meaning_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"width": 3, "min_area": 2, "classes": 2, "folder": tmp_path}
    with pytest.raises(OptionError):
        SmallComponents(**(usual | options))


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 4), np.uint8), np.zeros((2, 3), np.int64), np.zeros(3, np.uint8)]
)
def test_rows_of_another_shape_or_type_are_refused(tmp_path: Path, rows: NDArray[Any]) -> None:
    with (
        SmallComponents(3, 2, classes=2, folder=tmp_path) as stream,
        pytest.raises(InputError, match=r"uint8 of shape \(rows, 3\)"),
    ):
        stream.add_rows(rows)


def test_finished_map_takes_no_rows_and_is_not_finished_twice(tmp_path: Path) -> None:
    with SmallComponents(3, 2, classes=2, folder=tmp_path) as stream:
        stream.finish()
        with pytest.raises(InputError, match="finished"):
            stream.add_rows(np.zeros((1, 3), np.uint8))
        with pytest.raises(InputError, match="finished"):
            stream.finish()


def test_map_with_three_axes_is_refused() -> None:
    with pytest.raises(InputError, match="rows and columns"):
        remove_small_components(np.zeros((1, 2, 3), np.uint8), 2)
