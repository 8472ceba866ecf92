"""Other people's class rasters to ours: values or colours to class ids, pixel by pixel.

The grid stays as it is, to the bit. What has no reading has no class afterwards. A raster is read
and written from top to bottom and never held.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import BandError, LabelError, RasterReadError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.grouping import Problem
from geoseg.raster.labels.codelook import Look, codes_for, open_classes, unpacked
from geoseg.raster.labels.codes import UNLISTED, codes_file
from geoseg.raster.labels.recodeplan import RecodePlan, RecodeSettings, plan_recode
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.palette import hex_of
from geoseg.raster.opening.heads import FileHead
from geoseg.raster.outputs.whole import whole_folder
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import read_strips

__all__ = ["RecodePlan", "RecodeSettings", "Recoded", "plan_recode", "recode", "recode_files"]

_ROWS = 512
_MOST_DIFFERENT = 4096
"""Values without a code that are told apart; more are counted together."""
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Recoded:
    """What was written."""

    output: Path
    """The class raster, or the folder of them."""
    files: int
    """Rasters written."""
    legend: Legend
    """The classes."""
    pixels: dict[str, int]
    """Pixels by class."""
    unlabelled: int
    """Pixels without a class."""
    problems: tuple[Problem, ...]
    """Rasters that cannot be used."""
    seconds: float
    """Time that it took."""


def recode_files(
    rasters: Sequence[str | Path],
    output: str | Path,
    *,
    settings: RecodeSettings,
    overwrite: bool = False,
    workers: int = 4,
    progress: Callable[[int], None] | None = None,
) -> Recoded:
    """Turn class rasters of other values or colours into class rasters of ids.

    Parameters
    ----------
    rasters
        Files, folders and patterns. One band of values; or colours: three bands of bytes, a colour
        table, or grey.
    output
        ``NAME.tif`` for one raster; else a folder to make, with ``NAME.tif`` for each ``NAME.png``.
        uint8, 255 where there is no class, on the raster's own grid. Nothing is there until all of
        it is.
    settings
        What becomes what.
    overwrite
        Whether what is there may be replaced.
    workers
        Threads that read and compress; the files do not depend on it.
    progress
        Called with the number of pixels done.

    Raises
    ------
    LabelError, OptionError
        Codes make no sense, or do not list all that is there: the message says how often it is.
    BandError
        A raster holds neither one band nor colours.
    RasterReadError
        No raster can be read. In a folder, those that cannot are left out and listed, as are those
        that hold neither values nor colours.
    OutputError
        The output cannot be written.
    """
    plan = plan_recode(rasters, output, settings=settings, overwrite=overwrite)
    return recode(plan, workers=workers, progress=progress)


def recode(
    plan: RecodePlan, *, workers: int = 4, progress: Callable[[int], None] | None = None
) -> Recoded:
    """Do what was planned; see `recode_files`."""
    began = time.perf_counter()
    run = _Run(plan=plan, workers=workers, progress=progress)
    if plan.folder:
        with whole_folder(plan.output, overwrite=plan.overwrite) as made:
            for head in plan.rasters:
                run.try_one(head, made / f"{Path(head.path).stem}.tif")
            run.check()
    else:
        run.one(plan.rasters[0], plan.output)
    return Recoded(
        output=plan.output,
        files=run.files,
        legend=plan.legend,
        pixels={c.name: int(run.pixels[c.id]) for c in plan.legend.classes},
        unlabelled=int(run.pixels[NODATA]),
        problems=tuple(run.problems),
        seconds=time.perf_counter() - began,
    )


class _UnlistedError(Exception):
    """A raster holds what no code names; never leaves this module."""


@dataclass
class _Run:
    """One run, over all rasters."""

    plan: RecodePlan
    workers: int
    progress: Callable[[int], None] | None
    files: int = 0
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    problems: list[Problem] = field(default_factory=list)
    unlisted: Counter[tuple[bool, float]] = field(default_factory=Counter)
    """How often there is what no code names: whether it is a colour, and its number."""
    where: list[str] = field(default_factory=list)
    """Rasters that hold what no code names."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.problems += self.plan.problems

    def try_one(self, head: FileHead, target: Path) -> None:
        """Make one raster of several; go on where it cannot be used, or holds what is unknown."""
        try:
            self._make(head, target)
        except (RasterReadError, BandError) as error:
            self.problems.append(Problem(head.path, str(error)))
        except _UnlistedError:
            pass  # the others are looked through, to be told of all at once

    def one(self, head: FileHead, target: Path) -> None:
        """Make the only raster."""
        try:
            self._make(head, target)
        except _UnlistedError:
            self.check()

    def _make(self, head: FileHead, target: Path) -> None:
        plan = self.plan
        codes, by_colour = codes_for(plan.codes, plan.given, head, plan.settings.threshold)
        with open_classes(head, codes, by_colour) as scene:
            look = Look.of(head, codes, by_colour, scene, plan.settings.threshold)
            before = self.unlisted.total()
            strips = read_strips(
                [scene],
                target_rows=_ROWS,
                workers=self.workers,
                convert=lambda pixels, _: self._convert(pixels, look, head.path),
            )
            counts = np.zeros(256, np.int64)
            with closing(strips), self._writer(scene, head, target) as writer:
                for strip in strips:
                    ids = strip.arrays[0]
                    counts += np.bincount(ids.ravel(), minlength=256)
                    writer.write_rows(strip.row, ids)
                    if self.progress is not None:
                        self.progress(ids.size)
                if self.unlisted.total() > before:
                    self.where.append(head.path)
                    raise _UnlistedError
            self.pixels += counts
            self.files += 1

    def _writer(self, scene: Scene, head: FileHead, target: Path) -> RasterWriter:
        plan = self.plan
        options = plan.settings.words()
        words = ["geoseg", "recode", head.path, *option_words(options)]
        given = (plan.settings.codes, plan.settings.classes)
        read = [head.path, *(one for one in given if one is not None and codes_file(one))]
        return RasterWriter(
            target,
            scene.grid,
            band_names=["class"],
            dtype="uint8",
            nodata=NODATA,
            legend=plan.legend,
            tags=provenance(words, {p: fingerprint_files([p]) for p in read}, options=options),
            overwrite=plan.overwrite,
            workers=self.workers,
        )

    def _convert(
        self, pixels: Sequence[Pixels], look: Look, path: str
    ) -> tuple[tuple[NDArray[np.uint8]], NDArray[np.bool_]]:
        """Look up a rectangle; what no code names is counted."""
        data, valid = pixels[0].data, look.there(pixels[0].data, pixels[0].valid)
        keys, ids = look.ids(data, valid, path)
        unknown = valid & (ids == UNLISTED)
        if unknown.any():
            found, counts = np.unique(keys[unknown], return_counts=True)
            with self._lock:
                for number, count in zip(found.tolist(), counts.tolist(), strict=True):
                    key = (look.by_colour, float(number))
                    if len(self.unlisted) >= _MOST_DIFFERENT and key not in self.unlisted:
                        key = (look.by_colour, np.inf)
                    self.unlisted[key] += count
        return (np.where(valid & ~unknown, ids, NODATA).astype(np.uint8),), valid

    def check(self) -> None:
        """Raise LabelError where something was found that no code names; or nothing was made."""
        if not self.unlisted:
            if not self.files:
                raise RasterReadError(
                    f"no raster can be used; the first: {self.problems[0].reason}"
                )
            return
        kinds = [(k, n) for k, n in self.unlisted.most_common() if k[1] != np.inf]
        kinds.sort(key=lambda item: (-item[1], item[0]))
        words = [_said(*key) for key, _ in kinds[:_SHOWN]]
        shown = ", ".join(
            f"{word} ({count:,} px)" for word, (_, count) in zip(words, kinds, strict=False)
        )
        more = "" if len(kinds) <= _SHOWN else f" and {len(kinds) - _SHOWN:,} others"
        others = f" and {len(self.where) - 1:,} more" if len(self.where) > 1 else ""
        exact = (
            any(is_colour for is_colour, _ in self.unlisted)
            and self.plan.settings.threshold is None
        )
        inexact = ", or give --threshold 128 where colours are not exact" if exact else ""
        raise LabelError(
            f"{self.where[0]}{others}: no code names {shown}{more}; add {words[0]}=ID, or *=nodata"
            f" for all that is not listed, to --codes{inexact}"
        )


def _said(is_colour: bool, number: float) -> str:
    return hex_of(unpacked(int(number))) if is_colour else f"{number:.0f}"
