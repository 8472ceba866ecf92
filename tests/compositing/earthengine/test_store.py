"""What is kept between runs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from geoseg.compositing.earthengine.plan import Layer
from geoseg.compositing.earthengine.store import Store, check_leftover, folder_of, kept_windows
from geoseg.errors import OutputError
from geoseg.raster.window import Window

LAYER = Layer(key="composite", dtype=np.dtype([("a", "<f4"), ("clear", "<u2")]))
WINDOW = Window(0, 8, 5, 3)


def store(target, plan=None, *, resume=False, overwrite=False):
    return Store(target, plan or {"x": 1}, resume=resume, overwrite=overwrite)


def pixels(window=WINDOW):
    return np.zeros((window.height, window.width), LAYER.dtype)


def test_a_window_comes_back_as_it_was(tmp_path):
    given = pixels()
    given["a"] = np.random.default_rng(0).random(given.shape)
    given["a"][0, 0] = np.nan
    with store(tmp_path / "a.tif") as kept:
        assert kept.missing(LAYER, WINDOW) == 15
        kept.put(LAYER, WINDOW, given)
        assert kept.missing(LAYER, WINDOW) == 0
        ((window, path),) = kept.pieces(LAYER, WINDOW)
    assert window == WINDOW
    assert np.load(path).tobytes() == given.tobytes()


def test_parts_of_a_window_are_known_by_the_next_run(tmp_path):
    part = Window(0, 8, 3, 2)
    with store(tmp_path / "a.tif") as kept:
        kept.mark_split(LAYER, WINDOW)
        kept.put(LAYER, part, pixels(part))
    with store(tmp_path / "a.tif", resume=True) as kept:
        assert kept.is_split(LAYER, WINDOW)
        assert not kept.has(LAYER, WINDOW)
        assert kept.missing(LAYER, WINDOW) == 15 - 6
        assert [window for window, _ in kept.pieces(LAYER, WINDOW)] == [part]


def test_a_run_that_kept_nothing_leaves_nothing(tmp_path):
    with store(tmp_path / "a.tif"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_share_an_output(tmp_path):
    with store(tmp_path / "a.tif") as kept:
        kept.put(LAYER, WINDOW, pixels())
        for more in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(OutputError, match="another run is fetching it"):
                store(tmp_path / "a.tif", **more).__enter__()
        assert kept.has(LAYER, WINDOW)


def test_half_a_window_of_a_killed_run_is_no_window(tmp_path):
    target = tmp_path / "a.tif"
    with store(target) as kept:
        kept.put(LAYER, WINDOW, pixels())
    half = folder_of(target) / "composite-9-9-9-9.npy.new"
    half.write_bytes(b"half")
    with store(target, resume=True) as kept:
        assert not half.exists()
        assert kept.missing(LAYER, Window(9, 9, 9, 9)) == 81


def test_a_damaged_plan_is_told(tmp_path):
    target = tmp_path / "a.tif"
    with store(target) as kept:
        kept.put(LAYER, WINDOW, pixels())
    (folder_of(target) / "plan.json").write_text("{")
    with pytest.raises(OutputError, match=r"plan\.json is damaged; begin anew"):
        store(target, resume=True).__enter__()


def test_a_run_that_was_killed_before_its_first_window_is_nothing_to_ask_about(tmp_path):
    folder = folder_of(tmp_path / "a.tif")
    folder.mkdir()
    (folder / "plan.json").write_text("{}")
    assert check_leftover(tmp_path / "a.tif", resume=False, overwrite=False)
    with store(tmp_path / "a.tif") as kept:
        kept.put(LAYER, WINDOW, pixels())
    with pytest.raises(OutputError, match="unfinished run"):
        check_leftover(tmp_path / "a.tif", resume=False, overwrite=False)
    kept.remove()
    assert not check_leftover(tmp_path / "a.tif", resume=False, overwrite=False)


def test_a_full_disk_is_told_while_a_window_is_found_too_much(tmp_path, monkeypatch):
    opened = Path.open

    def full(path, *args, **more):
        if path.suffix == ".new":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, *args, **more)

    with store(tmp_path / "a.tif") as kept:
        monkeypatch.setattr(Path, "open", full)
        with pytest.raises(OutputError, match="no space left on the disk"):
            kept.mark_split(LAYER, WINDOW)
        monkeypatch.undo()
        assert not kept.is_split(LAYER, WINDOW)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of that kind")
def test_why_a_window_was_written_in_part_alone_is_told(tmp_path):
    import resource  # noqa: PLC0415 - not on Windows

    other = Window(50, 8, 200, 200)
    with store(tmp_path / "a.tif") as kept:
        kept.put(LAYER, WINDOW, pixels())
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            with pytest.raises(OutputError, match="larger than its disk or this user may hold"):
                kept.put(LAYER, other, pixels(other))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert kept.has(LAYER, WINDOW)
        assert not kept.has(LAYER, other)


def test_who_comes_late_with_a_window_finds_the_folder_closed(tmp_path):
    with store(tmp_path / "a.tif") as kept:
        kept.put(LAYER, WINDOW, pixels())
    with pytest.raises(OutputError, match="is closed"):
        kept.put(LAYER, Window(9, 9, 2, 2), pixels(Window(9, 9, 2, 2)))
    with pytest.raises(OutputError, match="is closed"):
        kept.mark_split(LAYER, Window(9, 9, 2, 2))
    assert kept_windows(tmp_path / "a.tif") == 1
