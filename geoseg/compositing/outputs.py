"""The rasters that a composite leaves: its bands, and the numbers of clear dates.

They appear together when all are whole; what a stopped run finished of them is gone on with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from geoseg.compositing.making import Found, Making
from geoseg.compositing.plan import COMPOSITE
from geoseg.compositing.whole import are_whole, counted
from geoseg.compositing.writing import Done, Writing
from geoseg.raster.allocator import give_back, keep_large_blocks
from geoseg.raster.cog.writer import BLOCKSIZE, RasterWriter
from geoseg.raster.opening.handles import small_block_cache
from geoseg.raster.outputs.kept import KeptFolder
from geoseg.raster.outputs.unfinished import Unfinished, finished_parts, remove_useless

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

CLEAR = "clear"
"""Name of the band that counts clear dates."""


class _Kept(TypedDict, total=False):
    """How a writer goes on."""

    kept: KeptFolder
    arrived: int
    noted: int
    sums: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of it."""

    found: Found
    """What was counted."""
    taken_over: int
    """Pixels that an earlier run had finished."""
    whole: bool = False
    """Whether an earlier run had made the outputs, and nothing was done."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Rasters to be made."""

    paths: tuple[Path, ...]
    """The composite's and, where counts go to a file of their own, theirs."""
    making: Making
    """What is in them."""
    tags: Mapping[str, str]
    """What their metadata say."""
    plan: Mapping[str, Any] | None
    """What finished pixels are pixels of, where they shall outlive a run that is stopped."""
    resume: bool
    """Whether to go on from such pixels."""
    overwrite: bool
    """Whether files may be replaced."""

    def make(self, *, cluster: Cluster | None, progress: Callable[[int], None]) -> Made:
        """Make them, or take those that are whole.

        Parameters
        ----------
        cluster
            Whose workers make the pixels; None for threads of this process.
        progress
            Called with numbers of finished pixels.

        Raises
        ------
        InputError, OutputError, ClusterError
            A file cannot be read or written, kept pixels are of something else, or the workers are
            gone.
        """
        may_be_whole = self.resume and not self.overwrite
        if may_be_whole and not finished_parts(self.paths[0], COMPOSITE) and self._are_whole():
            return self._as_they_are(progress)
        kept: AbstractContextManager[Unfinished | None] = nullcontext()
        if self.plan is not None:
            kept = Unfinished(
                self.paths, self.plan, COMPOSITE, resume=self.resume, overwrite=self.overwrite
            )
        with kept as unfinished:
            overwrite = self.overwrite
            if Done.of(unfinished).made:
                # It was stopped while outputs got their names: those that have theirs get them
                # again.
                overwrite = overwrite or self._are_whole(some=True)
            keep_large_blocks(one_arena=False)  # each thread frees what it took
            with ExitStack() as stack:
                stack.callback(give_back)
                stack.enter_context(small_block_cache(self.making.cache_bytes(BLOCKSIZE)))
                writers = self._open(stack, unfinished, overwrite=overwrite)
                writing = Writing(
                    self.making, writers, unfinished=unfinished, cluster=cluster, progress=progress
                )
                writing.write()
                for writer in writers:
                    writer.make()
                writing.note(made=True)
            if unfinished is not None:
                unfinished.remove()
        return Made(found=writing.found, taken_over=writing.taken_over)

    def _are_whole(self, *, some: bool = False) -> bool:
        paths = [path for path in self.paths if path.exists() or not some]
        return bool(paths) and are_whole(paths, self.tags, self.making.grid)

    def _as_they_are(self, progress: Callable[[int], None]) -> Made:
        making = self.making
        numbers = counted(
            self.paths[-1],
            CLEAR,
            dates=len(making.dates),
            area=making.area,
            origin=making.area_origin,
            workers=making.workers,
        )
        remove_useless(self.paths, COMPOSITE)
        pixels = making.grid.window.area
        progress(pixels)
        return Made(found=Found(numbers), taken_over=pixels, whole=True)

    def _open(
        self, stack: ExitStack, unfinished: Unfinished | None, *, overwrite: bool
    ) -> list[RasterWriter]:
        """Open the composite's writer and, where counts have a file of their own, theirs."""
        making = self.making
        storage, more, bands = making.storage, not making.beside, making.dates[0].bands
        units = [band.unit for band in bands] + [""] * more
        names = [band.name for band in bands]
        first = RasterWriter(
            self.paths[0],
            making.grid,
            band_names=[*names, CLEAR] if more else names,
            dtype=storage.dtype,
            nodata=storage.nodata,
            tags=self.tags,
            overwrite=overwrite,
            scales=[*storage.scales, *[1.0] * more] if storage.is_scaled else None,
            offsets=[*storage.offsets, *[0.0] * more] if storage.is_scaled else None,
            units=units if any(units) else None,
            workers=making.workers,
            **self._kept(unfinished, 0),
        )
        writers = [stack.enter_context(first)]
        if making.beside:
            second = RasterWriter(
                self.paths[1],
                making.grid,
                band_names=[CLEAR],
                dtype="uint16",
                nodata=None,
                tags=self.tags,
                overwrite=overwrite,
                workers=making.workers,
                **self._kept(unfinished, 1),
            )
            writers.append(stack.enter_context(second))
        return writers

    def _kept(self, unfinished: Unfinished | None, number: int) -> _Kept:
        """Say where a writer keeps what is finished, and how much is there."""
        if unfinished is None:
            return {}
        done = Done.of(unfinished)
        kept = _Kept(kept=unfinished.folder(self.paths[number]), arrived=done.rows)
        if self.making.makes_tiles(BLOCKSIZE):
            kept["noted"] = done.lists[number] if done.lists else 0
        if done.sums:
            kept["sums"] = done.sums[number]
        return kept
