"""Opening files: quietly, with GDAL set up for reading, and one handle a thread.

Knows GDAL and threads; knows neither bands nor scenes.
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any
from weakref import WeakSet

import numpy as np
import rasterio
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from geoseg.errors import RasterReadError
from geoseg.raster.opening import remote, trust
from geoseg.raster.opening.lost import losses
from geoseg.raster.opening.naming import names_far
from geoseg.raster.opening.trouble import why_not_opened
from geoseg.raster.opening.warm import warmly

MAX_OPEN_FILES = 64
"""Files that one thread keeps open of one scene (a mosaic may have thousands)."""

CACHE_BYTES = 64 << 20
"""GDAL's block cache while scenes are streamed; blocks are then read once, so more would be
waste."""

_OPTIONS = {
    # Several threads read already; a decoder that starts its own would only be in their way.
    "GDAL_NUM_THREADS": "1",
    # Reading a truncated PNG in one go "succeeds" and gives noise; row by row it fails as it
    # should.
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    # Two handles of one VRT that a thread opened would share its sources, and threads must share
    # none.
    "VRT_SHARED_SOURCE": "NO",
    # A VRT may hold Python to be run for its pixels.
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}
_IN_THE_FILE_SYSTEM = ("/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/", "/vsimem/")
_SCHEME = re.compile(r"^(?:[a-z0-9]+\+)?[a-z][a-z0-9]+://", re.IGNORECASE)
_SUBDATASET = re.compile(r"^[A-Z][A-Z0-9_]{2,}:")  # NETCDF:"file":variable and the like
_THIS_MODULE = re.compile(re.escape(__name__) + r"\Z")
_OUR_FILTER = ("ignore", None, NotGeoreferencedWarning, _THIS_MODULE, 0)


def is_local_file(path: str) -> bool:
    """Tell whether `path` names something in the file system, and no URL or GDAL connection."""
    return not (
        path.startswith("/vsi")
        or _SCHEME.match(path)
        or _SUBDATASET.match(path)
        or path.lstrip().startswith("<")
    )


def is_remote(path: str) -> bool:
    """Tell whether reading `path` goes over a network."""
    if path.startswith("/vsi"):
        return not path.startswith(_IN_THE_FILE_SYSTEM)
    local = ("file://", "zip://", "tar://", "gzip://")
    return bool(_SCHEME.match(path)) and not path.lower().startswith(local)


def is_far(path: str) -> bool:
    """Tell whether pixels come over a network: of a file there, or of a VRT here of such files."""
    return is_remote(path) or leads_far(path)


def leads_far(path: str) -> bool:
    """Tell whether `path` is a VRT here that names files far away."""
    return path.lower().endswith(".vrt") and is_local_file(path) and names_far(path)


@contextmanager
def environment(path: str) -> Iterator[None]:
    """Set GDAL up for reading `path` while the context lasts.

    For remote files, what the user has set (in the process's environment or an outer
    `rasterio.Env`) wins.
    """
    options = dict(_OPTIONS)
    if is_remote(path):
        options |= remote.settings(path)
    elif leads_far(path):
        # What it names may end in anything.
        options |= remote.settings(path, anything=True)
    if path.lower().endswith(".gpkg") or path.startswith("GPKG:"):
        options["GDAL_PAM_ENABLED"] = "NO"  # GDAL writes NAME.gpkg.aux.xml when it only looks
    # rasterio compares nodata with the limits of the type, and overflows if it is beyond them.
    with rasterio.Env(**options), np.errstate(over="ignore"):
        yield


def _quieten() -> None:
    # A photograph has no transform, which is no news here. rasterio warns from compiled code, so
    # the warning counts as this module's own and the filter touches nobody else's. It is never
    # taken away again: warnings.catch_warnings, which would, is not safe where several threads open
    # files.
    if warnings.filters[:1] != [_OUR_FILTER]:
        warnings.filterwarnings(
            "ignore", category=NotGeoreferencedWarning, module=_THIS_MODULE.pattern
        )


_quieten()


def open_dataset(path: str) -> DatasetReader:
    """Open a raster for reading; to be called within `environment`.

    Raises
    ------
    RasterReadError
        Nothing there, not a raster, or damaged; the message says which.
    """
    waits = remote.first_at_once(remote.pauses()) if is_remote(path) else []
    trouble: remote.Trouble | None = None
    if is_remote(path) and (wrong := remote.trouble_with_parts(path)):
        raise RasterReadError(f"{path}: {wrong}")
    while True:
        _quieten()
        try:
            dataset = _open_whole(path) if is_remote(path) else DatasetReader(path)
            _look_into(path, dataset)
            return dataset
        except NotGeoreferencedWarning:
            continue  # another thread has just put back its filters, and they make warnings errors
        except RasterioError as error:
            told = " ".join(str(error).split())
            if not is_remote(path):
                if not is_local_file(path):
                    told = f"cannot be opened ({told}); check the address and your access to it"
                    raise RasterReadError(f"{path}: {told}") from error
                raise RasterReadError(why_not_opened(path, told)) from error
            if trouble is None or not waits:
                trouble = remote.diagnose(path, told)
            if not (trouble.passing and waits):
                raise RasterReadError(f"{path}: {trouble.reason}") from error
        time.sleep(waits.pop(0))
        forget_remote(path)
        if len(waits) % 2:
            # As in `remote.repeated`: else each try might meet every fifth body, that is cut.
            forget_remote(path)


def _open_whole(path: str) -> DatasetReader:
    """Open a remote file, or fail if a part of its head did not come."""
    with losses() as lost:
        dataset = DatasetReader(path)
        _ = dataset.mask_flag_enums  # opens a mask that lies beside it
    if lost:
        dataset.close()
        raise RasterioIOError("a part of its head could not be read")
    return dataset


_LOOKED_INTO: set[str] = set()
"""Sources of VRTs from elsewhere that lead nowhere else."""


def _look_into(path: str, dataset: DatasetReader, depth: int = 0) -> None:
    """Refuse a raster from elsewhere that leads to files here; see `raster.opening.trust`."""
    if trust.trusted() or not trust.is_elsewhere(path):
        return

    def look(target: str) -> None:
        # What cannot be opened leads nowhere; whoever reads it is told.
        with suppress(RasterioError, NotGeoreferencedWarning), environment(target):
            _quieten()
            with DatasetReader(target) as inner:
                _look_into(target, inner, depth + 1)
        _LOOKED_INTO.add(target)

    try:
        trust.deepest(depth, path)
        driver = str(dataset.driver)
        xml = dataset.tags(ns="xml:VRT").get("xml:VRT", "") if driver == "VRT" else ""
        # Whatever a source is called, it may be a VRT again.
        new = [t for t in trust.sources_of(path, driver, xml) if t not in _LOOKED_INTO]
        if new:
            with ThreadPoolExecutor(8, "geoseg-look") as pool:
                list(pool.map(look, new))
    except trust.LeadsHereError:
        dataset.close()
        raise


def _stamp(path: str) -> tuple[int, int] | None:
    """Return by what a file's contents are known to be the same; None where there is none."""
    if not is_local_file(path):
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


class _ThreadFiles:
    """Files that one thread holds open, the one used last at the end."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.process = os.getpid()
        self.open: OrderedDict[str, DatasetReader] = OrderedDict()
        self.anew: set[str] = set()

    def forgetful(self, path: str) -> AbstractContextManager[Any]:
        """Let what a VRT names be forgotten when it is closed, after every other failure.

        Else each try would make the same requests, and might meet every fifth, that is cut.
        """
        if path not in self.anew:
            return nullcontext()
        anew: AbstractContextManager[Any] = rasterio.Env(CPL_VSIL_CURL_NON_CACHED=remote.ANYTHING)
        return anew

    def close(self) -> None:
        with self.lock:
            while self.open:
                self.open.popitem()[1].close()


def open_anew(path: str) -> DatasetReader:
    """Open a remote file that is forgotten when closed, with its mask; within `environment`."""
    _quieten()
    with rasterio.Env(CPL_VSIL_CURL_NON_CACHED=remote.ANYTHING):
        dataset = DatasetReader(path)
        _ = dataset.mask_flag_enums  # opens it
    return dataset


def forget_remote(path: str) -> None:
    """Drop what GDAL remembers of a remote file."""
    # What came in part is remembered as it came. A file that is opened so is forgotten when it is
    # closed, be it by failing.
    with environment(path), suppress(RasterioError, NotGeoreferencedWarning):
        open_anew(path).close()


def _opened_here(path: str, *, first: bool) -> DatasetReader:
    """Open a file that a thread keeps, `first` if it is its first."""
    if not (first and is_local_file(path) and path.lower().endswith((".tif", ".tiff"))):
        return open_dataset(path)

    def opened() -> DatasetReader:
        with environment(path):
            return open_dataset(path)

    return warmly(opened)


class Handles:
    """Open files, one handle for each thread and path, since no two threads may use one at once.

    They are closed by `close`, or when their thread ends. Pickled, copied or forked, a `Handles`
    starts with nothing open.

    Parameters
    ----------
    most
        Files that one thread keeps open, by default `MAX_OPEN_FILES`.
    known
        Files of which something is known already, so that they must stay as they are.
    """

    def __init__(self, most: int | None = None, known: Iterable[str] = ()) -> None:
        self._most = most
        self._local = threading.local()
        self._threads: WeakSet[_ThreadFiles] = WeakSet()
        self._stamps: dict[str, tuple[int, int] | None] = {}
        self.know(known)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Handles, (self._most,))

    def know(self, paths: Iterable[str]) -> None:
        """Note how files are now; they must stay so, for something is known of them already."""
        for path in paths:
            self._stamps.setdefault(path, _stamp(path))

    def know_as(self, other: Handles) -> None:
        """Take over how files were when others were opened."""
        self._stamps |= other._stamps

    @contextmanager
    def borrow(self, path: str) -> Iterator[DatasetReader]:
        """Give this thread's handle of `path`, opened if need be, within `environment`.

        Raises
        ------
        RasterReadError
            It cannot be opened, or is another file by now than the one that was read first: else
            what is read would be of two versions.
        """
        files: _ThreadFiles | None = getattr(self._local, "files", None)
        if files is None or files.process != os.getpid():
            files = self._local.files = _ThreadFiles()
            with self._lock:
                self._threads.add(files)
        if path not in self._stamps:
            self._stamps[path] = _stamp(path)
        with files.lock, environment(path), files.forgetful(path):
            dataset = files.open.get(path)
            if dataset is None:
                dataset = files.open[path] = _opened_here(path, first=not files.open)
                if len(files.open) > (self._most or MAX_OPEN_FILES):
                    files.open.popitem(last=False)[1].close()
            else:
                files.open.move_to_end(path)
            try:
                yield dataset
            except (RasterReadError, RasterioError) as error:
                self._check_unchanged(path, error)
                raise
            self._check_unchanged(path)

    def _check_unchanged(self, path: str, cause: Exception | None = None) -> None:
        first = self._stamps.get(path)
        # One that is gone is as it was to who has it open.
        if first is not None and (_stamp(path) or first) != first:
            changed = RasterReadError(
                f"{path}: changed while it was read; run again when nobody writes it"
            )
            changed.damaged, changed.changed = path, True
            raise changed from cause

    def forget(self, path: str) -> None:
        """Close this thread's handle of a file far away, and drop what GDAL remembers of it."""
        files: _ThreadFiles | None = getattr(self._local, "files", None)
        if files is not None:
            with files.lock:
                dataset = files.open.pop(path, None)
                if dataset is not None:
                    dataset.close()
                if path.partition("?")[0].lower().endswith(".vrt"):
                    files.anew ^= {path}
        if is_remote(path):
            forget_remote(path)

    def close(self) -> None:
        """Close every file of every thread; a later read opens it again."""
        with self._lock:
            threads = list(self._threads)
        for files in threads:
            files.close()

    def count(self) -> int:
        """Return how many files are open, over all threads."""
        with self._lock:
            return sum(len(files.open) for files in self._threads)


class _Cache:
    """GDAL's block cache, one for the process: how many streams want it small, and its own size."""

    lock = threading.Lock()
    wanted: list[int] = []  # noqa: RUF012 - one for the process, as is the cache
    usual = 0

    @classmethod
    def resize(cls) -> None:
        size = min(cls.usual, max(cls.wanted)) if cls.wanted else cls.usual
        set_gdal_config("GDAL_CACHEMAX", size)


@contextmanager
def small_block_cache(nbytes: int = CACHE_BYTES) -> Iterator[None]:
    """Bound GDAL's block cache while the context lasts, by default to 64 MiB.

    Its usual size, 5 % of the machine's memory, streaming fills with blocks that nobody asks for
    again. Of several such contexts at once the largest holds; a smaller size that the user has set
    stays.
    """
    with _Cache.lock:
        if not _Cache.wanted:
            _Cache.usual = int(get_gdal_config("GDAL_CACHEMAX"))
        _Cache.wanted.append(nbytes)
        _Cache.resize()
    try:
        yield
    finally:
        with _Cache.lock:
            _Cache.wanted.remove(nbytes)
            _Cache.resize()
