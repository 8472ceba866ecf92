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
        assert list(kept.pieces(LAYER, WINDOW)) == [WINDOW]
        assert kept.opened(LAYER, WINDOW).tobytes() == given.tobytes()
    with store(tmp_path / "a.tif", resume=True) as kept:
        assert kept.has(LAYER, WINDOW)
        assert kept.opened(LAYER, WINDOW).tobytes() == given.tobytes()


def test_parts_of_a_window_are_known_by_the_next_run(tmp_path):
    part = Window(0, 8, 3, 2)
    with store(tmp_path / "a.tif") as kept:
        kept.mark_split(LAYER, WINDOW)
        kept.put(LAYER, part, pixels(part))
    with store(tmp_path / "a.tif", resume=True) as kept:
        assert kept.is_split(LAYER, WINDOW)
        assert not kept.has(LAYER, WINDOW)
        assert kept.missing(LAYER, WINDOW) == 15 - 6
        assert kept.has(LAYER, part)


OTHER = Window(5, 8, 5, 3)  # of the same size


def kept_pair(target):
    """Keep two windows, and return their files."""
    with store(target) as kept:
        for number, window in enumerate((WINDOW, OTHER)):
            given = pixels(window)
            given["a"] = number + np.arange(15).reshape(5, 3)
            kept.put(LAYER, window, given)
    folder = folder_of(target)
    return folder / "composite-0-8-5-3.npy", folder / "composite-5-8-5-3.npy"


def flipped(path, at, bit=0):
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def harms():
    yield "a flipped bit of the pixels", lambda one, _: flipped(one, 140)
    yield "a flipped bit of the head", lambda one, _: flipped(one, 20, 3)
    yield "a flipped bit of the sum", lambda one, _: flipped(one, -1, 7)
    yield "cut", lambda one, _: one.write_bytes(one.read_bytes()[:-30])
    yield "cut by its sum", lambda one, _: one.write_bytes(one.read_bytes()[:-4])
    yield "cut to almost nothing", lambda one, _: one.write_bytes(b"\x93N")
    yield "empty", lambda one, _: one.write_bytes(b"")
    yield "more behind", lambda one, _: one.write_bytes(one.read_bytes() + b"more")
    yield "another window", lambda one, two: one.write_bytes(two.read_bytes())


@pytest.mark.parametrize("harm", [pytest.param(do, id=name) for name, do in harms()])
def test_a_damaged_window_is_none(tmp_path, harm):
    one, two = kept_pair(tmp_path / "a.tif")
    harm(one, two)
    with store(tmp_path / "a.tif", resume=True) as kept:
        assert kept.missing(LAYER, WINDOW) == 15
        assert kept.missing(LAYER, OTHER) == 0
        assert not one.exists()
        kept.put(LAYER, WINDOW, pixels())
        assert kept.has(LAYER, WINDOW)
        assert kept.opened(LAYER, WINDOW).tobytes() == pixels().tobytes()


def test_any_flipped_bit_of_a_window_is_found(tmp_path):
    one, _ = kept_pair(tmp_path / "a.tif")
    whole = one.read_bytes()
    for at in range(len(whole)):
        flipped(one, at, at % 8)
        with store(tmp_path / "a.tif", resume=True) as kept:
            assert not kept.has(LAYER, WINDOW), at
        one.write_bytes(whole)
    with store(tmp_path / "a.tif", resume=True) as kept:
        assert kept.has(LAYER, WINDOW)


def test_windows_that_changed_places_are_both_fetched_again(tmp_path):
    one, two = kept_pair(tmp_path / "a.tif")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with store(tmp_path / "a.tif", resume=True) as kept:
        assert not kept.has(LAYER, WINDOW)
        assert not kept.has(LAYER, OTHER)


def test_a_window_of_a_run_with_another_plan_is_none(tmp_path):
    one, _ = kept_pair(tmp_path / "a.tif")
    with store(tmp_path / "b.tif", {"x": 2}) as kept:
        kept.put(LAYER, WINDOW, pixels())
        other = folder_of(tmp_path / "b.tif") / one.name
        one.write_bytes(other.read_bytes())
    with store(tmp_path / "a.tif", resume=True) as kept:
        assert not kept.has(LAYER, WINDOW)


@pytest.mark.parametrize("harm", [pytest.param(do, id=name) for name, do in harms()])
def test_a_window_that_is_damaged_before_it_is_put_to_its_place_is_refused(tmp_path, harm):
    with store(tmp_path / "a.tif") as kept:
        kept.put(LAYER, WINDOW, pixels())
        kept.put(LAYER, OTHER, pixels(OTHER))
        one, two = sorted(folder_of(tmp_path / "a.tif").glob("*.npy"))
        harm(one, two)
        with pytest.raises(OutputError, match=r"-0-8-5-3\.npy is damaged; run again with --resume"):
            kept.opened(LAYER, WINDOW)
        assert kept.opened(LAYER, OTHER).shape == (5, 3)


def test_a_window_that_is_gone_is_told(tmp_path):
    with store(tmp_path / "a.tif") as kept:
        kept.put(LAYER, WINDOW, pixels())
        next(folder_of(tmp_path / "a.tif").glob("*.npy")).unlink()
        assert list(kept.pieces(LAYER, WINDOW)) == [WINDOW]
        with pytest.raises(OutputError, match="is damaged"):
            kept.opened(LAYER, WINDOW)


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
