"""All scenes cut, one after the other: by threads of this process, or by workers elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import RasterReadError
from geoseg.patches.assembling import Assembly
from geoseg.patches.blocks import Block, Common, CutBlock, blocks_of, cut_block, most_bytes
from geoseg.patches.cutting import SceneCutter, patch_name
from geoseg.patches.handing import Desk, can_hand
from geoseg.patches.job import Job, Seen, why_withdrawn
from geoseg.raster.elsewhere import HandlesFrom
from geoseg.raster.scene import Scene

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

Progress = Callable[[int], None] | None


def cut_scenes(assembly: Assembly, pool: Executor, progress: Progress) -> None:
    """Cut what is still to be cut with the threads of this process.

    Raises
    ------
    RasterReadError
        No scene can be read.
    """
    inputs, settings = assembly.inputs, assembly.settings

    def finished(patches: range) -> None:
        assembly.row_finished(patches, assembly.begun.seen.first_row)
        assembly.note(pool)

    for number in range(assembly.begun.number, len(assembly.jobs)):
        job, begun = assembly.jobs[number], assembly.begun
        cutter = SceneCutter(
            job,
            settings=settings,
            legend=inputs.pixel_legend,
            dtype=inputs.dtype,
            writers=assembly.writers,
            positions=assembly.positions,
            statistics=begun.statistics,
            measured_splits=assembly.measured_splits,
            invalid_value=assembly.invalid_value,
            workers=settings.workers,
            pool=pool,
            seen=begun.seen,
            first=begun.row,
        )
        reason = ""
        try:
            cutter.run(progress, finished)
        except RasterReadError as error:
            reason = why_withdrawn(error)
        assembly.end_scene(reason, pool)


def cut_at_workers(
    assembly: Assembly, cluster: Cluster, pool: Executor, progress: Progress
) -> None:
    """Cut what is still to be cut at workers, and store it here in order.

    Patches are handed over in files, by the workers that see the folder of the set.

    Raises
    ------
    RasterReadError
        No scene can be read.
    ClusterError
        The workers are gone.
    """
    inputs, jobs = assembly.inputs, assembly.jobs
    common = Common(
        jobs=_for_workers(jobs),
        settings=assembly.settings,
        legend=inputs.pixel_legend,
        dtype=inputs.dtype,
        bands=inputs.bands,
        nodata=assembly.nodata,
        invalid_value=assembly.invalid_value,
        measured_splits=assembly.measured_splits,
        desk=Desk.beside(assembly.made) if can_hand(assembly.writers) else None,
    )

    def wanted() -> Iterator[Block]:
        begun = assembly.begun
        start = begun.number
        for number in range(start, len(jobs)):
            first, read_to = (begun.row, begun.seen.first_row) if number == start else (0, 0)
            for block in blocks_of(
                number, jobs[number], first=first, read_to=read_to, dtype=inputs.dtype
            ):
                if jobs[number].name in assembly.withdrawn:
                    break
                yield block

    def end_those_before(number: int) -> None:
        while assembly.begun.number < number:
            assembly.end_scene("", pool)

    largest = max((most_bytes(job, inputs.dtype) for job in jobs), default=0)
    found = cluster.ordered(cut_block, common, wanted(), result_bytes=largest)
    with closing(found) as results:
        for result in results:
            if jobs[result.scene].name in assembly.withdrawn:
                continue
            end_those_before(result.scene)
            if result.withdrawn:
                assembly.end_scene(result.withdrawn, pool)
                continue
            _store(assembly, result, common.desk, pool)
            assembly.row_finished(result.patches, result.own_rows[1])
            if result.patches.stop == len(jobs[result.scene].table):
                assembly.end_scene("", pool)
            assembly.note(pool)
            if progress is not None:
                first, stop = result.own_rows
                progress((stop - first) * jobs[result.scene].window.width)
    end_those_before(len(jobs))


def _for_workers(jobs: Sequence[Job]) -> list[Job]:
    """Return jobs whose files are found from any folder."""
    handles = HandlesFrom(Path.cwd())

    def opened(scene: Scene | None) -> Scene | None:
        return None if scene is None else scene.opened_by(handles)

    return [
        replace(
            job,
            scene=job.scene.opened_by(handles),
            labels=opened(job.labels),
            confidence=opened(job.confidence),
            table=job.table.part(0, 0),  # sent in parts, to those that need them
        )
        for job in jobs
    ]


def _store(assembly: Assembly, result: CutBlock, desk: Desk | None, pool: Executor) -> None:
    """Give the patches of a block their places, and store them there."""
    begun = assembly.begun
    job = assembly.jobs[result.scene]
    table = job.table
    some = slice(result.patches.start, result.patches.stop)
    table.valid_pixels[some] = result.valid_pixels
    table.class_pixels[some] = result.class_pixels
    first = list(assembly.positions)
    kept = assembly.place(job, result.patches)

    def put(number: int) -> None:
        patch = kept[number]
        down, across = divmod(patch, len(table.cols))
        name = patch_name(job.name, table.rows[down], table.cols[across])
        writer, position = assembly.writers[int(table.split[patch])], int(table.position[patch])
        if handed is not None and desk is not None:
            desk.move(handed, number, writer, position, name)
        else:
            writer.put(position, name, result.kept[number])

    handed = result.handed
    if handed is not None and desk is not None and handed.runs:
        desk.take(handed, assembly.writers, first, pool)
    else:
        list(pool.map(put, range(len(kept))))
    begun.statistics.add(result.measured)
    begun.statistics.add_counts(result.counts)
    begun.seen.merge(
        Seen(valid=result.valid, nonzero=result.nonzero, ignored=Counter(result.ignored))
    )
