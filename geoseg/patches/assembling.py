"""A data set that grows row of patches by row of patches, and can be gone on with.

What it comes to is known after each row: where the next patches go, the statistics so far, what was
seen of the scene. With a folder that is kept (`geoseg.raster.outputs.unfinished`), that is noted
now and then, after the patches themselves are on the disk. Knows nothing of how patches are cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.patches.cutting import patch_name
from geoseg.patches.dataset import SPLITS
from geoseg.patches.gathered import Inputs
from geoseg.patches.job import Job, Seen
from geoseg.patches.settings import TileSettings
from geoseg.patches.storage import ArrayWriter, FileWriter, PatchWriter
from geoseg.patches.unfinished import COUNTS, MADE, noted_statistics, restore_statistics
from geoseg.raster.cog.spool import Spool
from geoseg.raster.outputs.unfinished import Unfinished
from geoseg.raster.provenance import without_secrets
from geoseg.raster.statistics import Statistics, statistics_for
from geoseg.raster.sums import DamagedError, FileSum


@dataclass(kw_only=True)
class Begun:
    """How far a scene is."""

    number: int
    """Its place among all scenes."""
    statistics: Statistics
    """Of its patches alone, for it may yet be withdrawn."""
    first_positions: list[int]
    """Where its first patch went, by split."""
    row: int = 0
    """Rows of patches that are finished."""
    seen: Seen = field(default_factory=Seen)
    """What was seen of it."""


class Assembly:
    """The set so far.

    Parameters
    ----------
    made
        The folder that the set grows in.
    inputs, settings
        Of the plan; scenes that turn out to be unusable are dropped from the inputs.
    kept
        Where it is noted how far the set is; None where nothing is kept.

    Attributes
    ----------
    made
        The folder.
    jobs
        All scenes, those withdrawn too.
    begun
        The scene that is next, or under way.
    positions
        Where the next patch of each split goes.
    before
        Patches that were there from an earlier run.
    """

    def __init__(
        self, made: Path, inputs: Inputs, settings: TileSettings, kept: Unfinished | None
    ) -> None:
        self.made = made
        self.inputs, self.settings, self._kept = inputs, settings, kept
        self.jobs: Sequence[Job] = tuple(inputs.jobs)
        # Asked for before scenes are withdrawn: the files are declared by then.
        self.nodata = declared_nodata(inputs)
        self.invalid_value = settings.fill
        if settings.storage == "geotiff" and self.nodata is not None:
            self.invalid_value = self.nodata
        with_training = settings.shares[0] > 0
        self.measured_splits = (
            [0] if with_training else [i for i, share in enumerate(settings.shares) if share]
        )
        self.statistics = self._empty_statistics()
        self.ignored: Counter[int] = Counter()
        self.withdrawn: dict[str, str] = {}
        self.positions = [0] * len(SPLITS)
        self.writers: list[PatchWriter] = []
        self._log: Spool | None = None
        self._log_sum: FileSum | None = None
        self._decided = 0
        self.begun = self._begin(0)
        noted = {} if kept is None else kept.noted
        try:
            with kept.legible() if kept is not None and noted else nullcontext():
                self._take_up(made, noted, kept)
        except BaseException:
            self.close()
            raise

    def _take_up(self, made: Path, noted: Mapping[str, Any], kept: Unfinished | None) -> None:
        """Open what patches go into, where an earlier run left it."""
        if kept is not None:
            self._log = Spool(
                kept.folder(kept.outputs[0]).path / COUNTS,
                noted.get("patches", 0) * self._record,
                again=bool(noted),
            )
            self._log_sum = FileSum(self._log.path)
        if noted:
            self._check_log(noted.get("patches", 0), noted["counts"])
            self._go_on(noted)
        self.before = self._decided
        for split, name in enumerate(SPLITS):  # closed one by one, should a later one fail
            self.writers.append(self._writer(made / name, split, noted))
        if noted:
            for name, *one in zip(SPLITS, self.writers, self.positions, noted["sums"], strict=True):
                writer, count, wanted = one
                if writer.sums(count) != wanted:
                    raise DamagedError(f"{MADE}/{name}")

    def _check_log(self, patches: int, wanted: int) -> None:
        if self._log_sum is not None and self._log_sum.upto(patches * self._record) != wanted:
            raise DamagedError(COUNTS)

    @property
    def _record(self) -> int:
        """Bytes of what is kept of a patch that was counted."""
        return 8 * (1 + self._classes)

    @property
    def _classes(self) -> int:
        return self.jobs[0].table.classes or 0

    def _empty_statistics(self) -> Statistics:
        return statistics_for(self.inputs.dtype, len(self.inputs.bands))

    def _begin(self, number: int) -> Begun:
        return Begun(
            number=number,
            statistics=self._empty_statistics(),
            first_positions=list(self.positions),
        )

    def _writer(self, folder: Path, split: int, noted: Mapping[str, Any]) -> PatchWriter:
        """Make what takes the patches of a split, or take it up where it was left."""
        inputs, settings = self.inputs, self.settings
        kinds = ["labels"] if inputs.labelling == "pixels" else []
        kinds += ["confidence"] if inputs.confidence_paths else []
        if settings.storage == "npy":
            return ArrayWriter(
                folder,
                bands=len(inputs.bands),
                size=settings.size,
                dtype=inputs.dtype,
                kinds=kinds,
                again=self.positions[split] if noted else None,
            )
        return FileWriter(
            folder,
            band_names=inputs.bands,
            nodata=self.nodata,
            tags=settings.patch_tags(),
            kinds=kinds,
            again=self._names(split) if noted else None,
        )

    def _names(self, split: int) -> list[str]:
        """Names of the patches of a split so far, in their order."""
        names = []
        for job in self.inputs.jobs:
            table = job.table
            mine = (table.position >= 0) & (table.split == split)
            for row, col in table.windows()[mine, :2].tolist():
                names.append(patch_name(job.name, row, col))
        return names

    def row_finished(self, patches: range, read_to: int) -> None:
        """Take it that patches of the scene under way are decided on and stored.

        Parameters
        ----------
        patches
            Rows of the scene's table, those that follow the last ones.
        read_to
            Label values above this row of the scene are counted.
        """
        begun = self.begun
        table = self.jobs[begun.number].table
        begun.row += len(patches) // len(table.cols)
        if self._log is not None:
            some = slice(patches.start, patches.stop)
            counts = np.column_stack([table.valid_pixels[some], table.class_pixels[some]])
            self._log.write_at(self._decided * self._record, counts.data)
        self._decided += len(patches)
        begun.seen.first_row = max(begun.seen.first_row, read_to)

    def note(self, pool: Executor, *, now: bool = False) -> None:
        """Note how far the set is, if it is time or has to be.

        Raises
        ------
        OutputError
            The disk is full, or fails.
        """
        kept, log, total = self._kept, self._log, self._log_sum
        if kept is None or log is None or total is None or not (now or kept.due):
            return

        def say() -> dict[str, Any]:
            for writer in self.writers:
                writer.flush(pool)
            log.flush()
            begun = self.begun
            return {
                "patches": self._decided,
                "scene": begun.number,
                "row": begun.row,
                "read_to": begun.seen.first_row,
                "valid": begun.seen.valid,
                "nonzero": begun.seen.nonzero,
                "ignored": [_noted(self.ignored), _noted(begun.seen.ignored)],
                "statistics": [
                    noted_statistics(self.statistics),
                    noted_statistics(begun.statistics),
                ],
                "withdrawn": self.withdrawn,
                "sums": [
                    w.sums(n, pool) for w, n in zip(self.writers, self.positions, strict=True)
                ],
                "counts": total.upto(self._decided * self._record),
            }

        kept.note_finished(say)

    def note_made(self) -> None:
        """Note that the whole set is there but for its name, where anything was noted at all."""
        if self._kept is not None and self._kept.finished:
            noted = {**self._kept.noted, "made": True}
            self._kept.note_finished(lambda: noted)

    def end_scene(self, reason: str, pool: Executor) -> None:
        """End the scene under way.

        Parameters
        ----------
        reason
            Why it cannot be used after all; empty where it can.

        Raises
        ------
        RasterReadError
            It cannot, and was the last one.
        """
        begun = self.begun
        job = self.jobs[begun.number]
        if not reason:
            if not begun.seen.valid:
                reason = "all pixels are nodata"
            elif not begun.seen.nonzero:
                reason = "all readings are 0"
        job.scene.close()
        if reason:
            self._withdraw(job, reason)
            self._decided -= begun.row * len(job.table.cols)
            self.positions[:] = begun.first_positions
            self.begun = self._begin(begun.number + 1)
            if self._kept is not None and self._kept.finished:
                # Before its patches are written over: what was noted counts on them.
                self.note(pool, now=True)
            for writer, count in zip(self.writers, self.positions, strict=True):
                writer.keep(count)
            return
        self.statistics.merge(begun.statistics)
        self.ignored.update(begun.seen.ignored)
        self.begun = self._begin(begun.number + 1)

    def _withdraw(self, job: Job, reason: str) -> None:
        reason = without_secrets(reason)  # it is noted
        self.inputs.drop(job, reason)
        self.withdrawn[job.name] = reason
        job.table.withdraw(reason)

    def _go_on(self, noted: Mapping[str, Any]) -> None:
        """Take up what an earlier run noted."""
        before, now = noted["ignored"]
        self.ignored = _counter(before)
        restore_statistics(self.statistics, noted["statistics"][0])
        for number, job in enumerate(self.jobs[: noted["scene"]]):
            if job.name in noted["withdrawn"]:
                self._withdraw(job, noted["withdrawn"][job.name])
            else:
                self._count_again(self.jobs[number], len(job.table.rows))
        begun = self.begun = self._begin(noted["scene"])
        if begun.number < len(self.jobs):
            self._count_again(self.jobs[begun.number], noted["row"])
        begun.row = index(noted["row"])
        begun.seen = Seen(
            valid=bool(noted["valid"]),
            nonzero=bool(noted["nonzero"]),
            ignored=_counter(now),
            first_row=index(noted["read_to"]),
        )
        restore_statistics(begun.statistics, noted["statistics"][1])

    def _count_again(self, job: Job, rows: int) -> None:
        """Fill in what was counted of a scene's first rows of patches, and decide about them."""
        table = job.table
        patches = range(rows * len(table.cols))
        counts = np.empty((len(patches), 1 + self._classes), np.int64)
        if self._log is not None and counts.size:
            place = self._decided * counts.strides[0]
            self._log.read_at(place, counts.data)
        table.valid_pixels[: len(patches)] = counts[:, 0]
        table.class_pixels[: len(patches)] = counts[:, 1:]
        self.place(job, patches)
        self._decided += len(patches)

    def place(self, job: Job, patches: range) -> list[int]:
        """Decide about patches that have been counted; return those kept, which have places now."""
        return job.table.place(
            patches,
            self.positions,
            most_invalid=self.settings.most_invalid,
            fewest_labelled=self.settings.fewest_labelled,
        )

    @property
    def pixels_before(self) -> int:
        """Pixels that need not be read again."""
        begun = self.begun
        done = sum(job.window.area for job in self.jobs[: begun.number])
        if begun.number < len(self.jobs):
            window = self.jobs[begun.number].window
            done += max(0, begun.seen.first_row - window.row) * window.width
        return done

    def close(self) -> None:
        """Close the files; safe to call again."""
        for writer in self.writers:
            writer.close()
        if self._log is not None:
            self._log.close()


def declared_nodata(inputs: Inputs) -> float | None:
    """Nodata value that GeoTIFF patches declare: that of all bands of all scenes, if it is one."""
    values = {band.nodata for job in inputs.jobs for band in job.scene.bands}
    if len(values) == 1 and None not in values:
        return values.pop()
    return float("nan") if inputs.dtype.kind == "f" else None


def _noted(counts: Counter[int]) -> dict[str, int]:
    return {str(value): number for value, number in counts.items()}


def _counter(noted: Mapping[str, int]) -> Counter[int]:
    return Counter({int(value): number for value, number in noted.items()})
