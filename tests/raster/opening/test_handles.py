"""Handles: one a thread, few, closed with their thread; GDAL's cache bounded and put back."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config

from geoseg.errors import RasterReadError
from geoseg.raster.opening import handles, warm
from geoseg.raster.opening.handles import (
    Handles,
    environment,
    is_local_file,
    is_remote,
    small_block_cache,
)
from geoseg.raster.scene import Scene

MakeRaster = Callable[..., Path]


@pytest.mark.parametrize(
    ("path", "local", "remote"),
    [
        ("/a/b.tif", True, False),
        ("relative.tif", True, False),
        ("C:\\a\\b.tif", True, False),
        ("https://host/a.tif", False, True),
        ("s3://bucket/a.tif", False, True),
        ("/vsicurl/https://host/a.tif", False, True),
        ("zip+https://host/a.zip!a.tif", False, True),
        ("/vsizip/a.zip/a.tif", False, False),
        ("zip://a.zip!a.tif", False, False),
        ('NETCDF:"a.nc":ndvi', False, False),
        ("<VRTDataset/>", False, False),
    ],
)
def test_paths_are_told_apart(path: str, local: bool, remote: bool) -> None:
    assert (is_local_file(path), is_remote(path)) == (local, remote)


def test_remote_settings_leave_what_the_user_has_set() -> None:
    with environment("https://host/a.tif"):
        assert str(get_gdal_config("GDAL_HTTP_MAX_RETRY")) == "3"
    with rasterio.Env(GDAL_HTTP_MAX_RETRY="7"), environment("https://host/a.tif"):
        assert str(get_gdal_config("GDAL_HTTP_MAX_RETRY")) == "7"
    with environment("/a.tif"):
        assert get_gdal_config("GDAL_HTTP_MAX_RETRY") is None


def test_threads_share_no_handle_and_leave_none_behind(make_raster: MakeRaster) -> None:
    path = str(make_raster("a.tif", np.ones((4, 4), "uint8")))
    pool = Handles()
    seen: list[bool] = []

    def work() -> None:
        with pool.borrow(path) as one:
            seen.append(one is dataset)

    with pool.borrow(path) as dataset:
        assert not dataset.closed
    with pool.borrow(path) as again:
        assert again is dataset
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    gc.collect()
    assert pool.count() == 1
    pool.close()
    assert dataset.closed
    assert pool.count() == 0


def test_a_thread_keeps_few_files_open(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handles, "MAX_OPEN_FILES", 2)
    paths = [str(make_raster(f"{k}.tif", np.full((2, 2), k, "uint8"))) for k in range(5)]
    pool = Handles()
    for _ in range(2):
        for k, path in enumerate(paths):
            with pool.borrow(path) as dataset:
                assert dataset.read(1)[0, 0] == k
            assert pool.count() <= 2
    pool.close()


def test_a_forked_process_opens_its_own(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(make_raster("a.tif", np.ones((4, 4), "uint8")))
    pool = Handles()
    with pool.borrow(path) as mine:
        pass
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pool.borrow(path) as theirs:
        assert theirs is not mine


def test_block_cache_is_bounded_while_anyone_streams_and_then_put_back() -> None:
    usual = int(get_gdal_config("GDAL_CACHEMAX"))
    with small_block_cache(1 << 20):
        assert int(get_gdal_config("GDAL_CACHEMAX")) == 1 << 20
        with small_block_cache(2 << 20):
            assert int(get_gdal_config("GDAL_CACHEMAX")) == 2 << 20
            with small_block_cache(usual * 2):
                assert int(get_gdal_config("GDAL_CACHEMAX")) == usual
        assert int(get_gdal_config("GDAL_CACHEMAX")) == 1 << 20
    assert int(get_gdal_config("GDAL_CACHEMAX")) == usual


@pytest.mark.parametrize("seconds", [-100, 100])
def test_a_file_that_changes_between_reads_is_refused(
    make_raster: MakeRaster, seconds: int
) -> None:
    path = str(make_raster("a.tif", np.zeros((4, 4), "uint8")))
    opened = Handles()
    with opened.borrow(path) as dataset:
        dataset.read()
    later = os.stat(path).st_mtime + seconds
    os.utime(path, (later, later))
    opened.close()
    told = "changed while it was read"
    with pytest.raises(RasterReadError, match=told) as caught, opened.borrow(path):
        pass
    assert (caught.value.damaged, caught.value.changed) == (path, True)
    with Handles().borrow(path):
        pass


def test_a_file_must_stay_as_it_was_when_its_header_was_read(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", np.zeros((4, 4), "uint8"))
    with Scene.open(path) as scene:
        shared = Handles()
        view = scene.opened_by(shared)
        path.write_bytes(path.read_bytes() + b"more")
        for one in (scene, view):
            with pytest.raises(RasterReadError, match="changed while it was read"):
                one.read(one.grid.window)


def test_a_file_that_is_gone_is_read_on_by_who_has_it_open(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", np.ones((4, 4), "uint8"))
    with Scene.open(path) as scene:
        scene.read(scene.grid.window)
        path.unlink()
        assert scene.read(scene.grid.window).data.all()


def test_the_first_file_of_each_thread_is_opened_by_one_thread_for_all(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.ones((4, 4), "uint8")
    path, other = str(make_raster("a.tif", pixels)), str(make_raster("b.tif", pixels))
    by: dict[str, set[int]] = {path: set(), other: set()}
    opened = handles.open_dataset

    def watched(name: str) -> object:
        by[name].add(threading.get_ident())
        return opened(name)

    monkeypatch.setattr(handles, "open_dataset", watched)
    found, kept = Handles(), []

    def read() -> None:
        with found.borrow(path) as first, found.borrow(other) as second:
            kept.append((first.name, second.name, threading.get_ident()))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [names[:2] for names in kept] == [(path, other)] * 3
    assert len(by[path]) == 1
    assert by[path].isdisjoint(thread for _, _, thread in kept)
    assert by[other] == {thread for _, _, thread in kept}
    found.close()


def test_a_first_file_that_is_not_there_is_one_line_of_the_thread_that_asks(tmp_path: Path) -> None:
    path = tmp_path / "none.tif"
    with pytest.raises(RasterReadError, match=r"none\.tif[^\n]*$"), Handles().borrow(str(path)):
        pass


def test_a_file_is_opened_where_there_is_no_thread_for_it_any_more(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = ThreadPoolExecutor(1)
    ended.shutdown()
    monkeypatch.setattr(warm._Opener, "pool", ended, raising=False)
    monkeypatch.setattr(warm._Opener, "process", os.getpid())
    path = str(make_raster("a.tif", np.ones((4, 4), "uint8")))
    found = Handles()
    with found.borrow(path) as dataset:
        assert dataset.read(1).all()
    found.close()
