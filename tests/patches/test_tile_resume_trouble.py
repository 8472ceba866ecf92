"""What goes wrong with a data set so far is told in a line, and costs no more than it must."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import OutputError, RasterReadError
from geoseg.patches.assembling import Assembly
from geoseg.patches.storage import ArrayFile
from geoseg.patches.tile import TileResult, tile
from geoseg.patches.unfinished import COUNTS, KIND, MADE
from geoseg.raster.outputs import unfinished as unfinished_module
from geoseg.raster.outputs.kept import kept_folder_of
from geoseg.raster.outputs.unfinished import finished_parts

WriteRaster = Callable[..., Path]
RNG = np.random.default_rng(47)


@pytest.fixture(autouse=True)
def _note_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished_module, "TIMES_AS_LONG", 0)


@pytest.fixture
def scenes(write_raster: WriteRaster) -> list[Path]:
    pixels = RNG.integers(1, 200, (2, 2, 150, 70), dtype=np.uint16)
    return [write_raster(f"{n}.tif", p, block=16) for n, p in zip("ab", pixels, strict=True)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def make(scenes: Any, out: Path, **options: Any) -> TileResult:
    return tile(scenes, out, **{"size": 16, "workers": 2, **options})


def stop(
    scenes: Any, out: Path, *, rows: int, error: BaseException | None = None, **options: Any
) -> None:
    """Run until so many rows of patches are cut, the last of them not yet noted."""
    left = [rows]
    finished = Assembly.row_finished

    def counted(self: Assembly, patches: range, read_to: int) -> None:
        if left[0] == 0:
            raise error or KeyboardInterrupt
        left[0] -= 1
        finished(self, patches, read_to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Assembly, "row_finished", counted)
        with pytest.raises(type(error) if error else KeyboardInterrupt):
            make(scenes, out, **{"keep": True, **options})


def test_a_damaged_set_so_far_is_told_in_a_line(scenes: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "set"
    stop(scenes, out, rows=6)
    images = kept_folder_of(out) / MADE / "train" / "images.npy"
    whole = images.read_bytes()
    images.write_bytes(whole[:900])
    with pytest.raises(OutputError, match="cut short"):
        make(scenes, out, resume=True)
    images.write_bytes(whole)
    counts = kept_folder_of(out) / COUNTS
    counts.write_bytes(counts.read_bytes()[:16])
    with pytest.raises(OutputError, match="cut short"):
        make(scenes, out, resume=True)
    make(scenes, out, overwrite=True)


def test_a_patch_that_is_gone_is_told_in_a_line(scenes: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "set"
    stop(scenes, out, rows=6, storage="geotiff")
    gone = min((kept_folder_of(out) / MADE / "train" / "images").iterdir())
    gone.unlink()
    with pytest.raises(OutputError, match=f"{gone.name}, a finished patch, is gone"):
        make(scenes, out, resume=True, storage="geotiff")


def test_a_full_disk_keeps_what_is_finished(
    scenes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    writes = [0]
    write = ArrayFile.write

    def full(self: ArrayFile, position: int, item: Any) -> None:
        writes[0] += 1
        if writes[0] > 30:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, position, item)

    with monkeypatch.context() as patch:
        patch.setattr(ArrayFile, "write", full)
        with pytest.raises(OutputError, match="no space left"):
            make(scenes, out, keep=True, workers=1)
    assert finished_parts(out, KIND) >= 25
    assert make(scenes, out, resume=True).summary["patches_before"] >= 25


def test_a_scene_that_could_not_be_read_can_be_tried_again(
    scenes: list[Path], tmp_path: Path
) -> None:
    # A server that was away, say: the file itself is the same.
    (tmp_path / "whole").mkdir()
    make(scenes[:1], tmp_path / "whole" / "set")
    (tmp_path / "stopped").mkdir()
    out = tmp_path / "stopped" / "set"
    away = RasterReadError("a.tif: the server does not answer")
    stop(scenes[:1], out, rows=6, error=away)
    assert make(scenes[:1], out, resume=True).summary["patches_before"] == 30
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


@pytest.mark.parametrize("said", ["<NoDataValue>7</NoDataValue>", "<Scale>0.1</Scale>"])
def test_a_file_beside_a_scene_that_changed_is_refused(
    scenes: list[Path], tmp_path: Path, said: str
) -> None:
    out = tmp_path / "set"
    stop(scenes, out, rows=6)
    beside = Path(f"{scenes[0]}.aux.xml")
    text = f'<PAMDataset><PAMRasterBand band="1">{said}</PAMRasterBand></PAMDataset>'
    beside.write_text(text)
    with pytest.raises(OutputError, match="the files of the scenes are not the same"):
        make(scenes, out, resume=True)
    beside.unlink()
    assert make(scenes, out, resume=True).summary["patches_before"] > 0
    beside.write_text(text)
    with pytest.raises(OutputError, match="is there already"):
        make(scenes, out, resume=True)


def test_where_no_patch_is_left_nothing_is_kept(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.zeros((1, 64, 64), np.uint8)
    pixels[:, ::9, ::9] = 1
    path = write_raster("thin.tif", pixels, nodata=0)
    (tmp_path / "out").mkdir()
    with pytest.raises(Exception, match="no patch is left"):
        make(path, tmp_path / "out" / "set", keep=True)
    assert list((tmp_path / "out").iterdir()) == []
