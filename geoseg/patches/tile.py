"""Scenes and labels in, a data set of patches out."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, OutputError
from geoseg.patches.assembling import Assembly
from geoseg.patches.dataset import SPLITS, PatchDataset
from geoseg.patches.gathered import Inputs, Say, Source
from geoseg.patches.job import Job
from geoseg.patches.plan import TilePlan, plan_patches
from geoseg.patches.record import Outcome, dataset_json, write_index
from geoseg.patches.settings import TileOptions, TileSettings
from geoseg.patches.sharing import cut_at_workers, cut_scenes
from geoseg.patches.storage import write_array
from geoseg.patches.summary import summary_json, summary_text
from geoseg.patches.table import FEW_LABELS, KEPT, NO_LABEL, NODATA, OUTSIDE, STRADDLE
from geoseg.patches.there import is_there, summary_there
from geoseg.patches.unfinished import KIND, MADE, described
from geoseg.raster.allocator import give_back, keep_large_blocks
from geoseg.raster.outputs.kept import kept_folder_of
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.outputs.unfinished import Unfinished, finished_parts, remove_useless
from geoseg.raster.outputs.whole import whole_folder
from geoseg.raster.statistics import Statistics

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

_ADVICE = {
    NODATA: "raise --max-nodata, or give a --size that is not beyond the scene's",
    STRADDLE: "use larger blocks (--split-block) or a --stride equal to --size",
    NO_LABEL: "check that labels and scenes overlap, and --classes and --min-confidence; polygons"
    " of a --label-table must cover most of a patch, or more than --present of it by one class: use"
    " a smaller --size",
    FEW_LABELS: "lower --min-labelled",
    OUTSIDE: "check --region",
}


@dataclass(frozen=True, kw_only=True)
class TileResult:
    """A finished data set."""

    folder: Path
    summary: Mapping[str, Any]
    """Patches kept by split, dropped by reason, statistics, class shares, time: plain JSON."""

    @property
    def text(self) -> str:
        """The summary for people."""
        return summary_text(self.summary)

    def open(self) -> PatchDataset:
        """Open the data set."""
        return PatchDataset.open(self.folder)


def tile(
    scenes: Source | Sequence[Source],
    output: str | Path,
    *,
    labels: Source | Sequence[Source] = (),
    confidence: Source | Sequence[Source] = (),
    label_table: Source | None = None,
    overwrite: bool = False,
    keep: bool = False,
    resume: bool = False,
    cluster: Cluster | None = None,
    say: Say | None = None,
    progress: Callable[[int], None] | None = None,
    **options: Unpack[TileOptions],
) -> TileResult:
    """Cut scenes and their labels into a data set of patches.

    Parameters
    ----------
    scenes
        Files, folders or patterns; bands in separate files and shards of an export are put
        together.
    output
        Folder to make. Nothing is there until all of it is.
    labels
        A raster of class codes for each scene, in the order of the scenes; or one (or its tiles)
        for all. Those of photographs belong to them by their names without ending, whatever the
        order (see `geoseg.raster.pairing`), and lie on them pixel by pixel; photographs of another
        size than their labels are left out and listed. On another grid they are brought to the
        scene's, nearest. Label values that mean no class, and label nodata, are unlabelled.
    confidence
        How sure labels are, from 0 to 1: as many rasters as of labels, in their order. Where one
        has none, the label does not count.
    label_table
        Labels of whole patches in place of `labels`: a CSV file that names patches, or a vector
        file of polygons; see `geoseg.patches.imagelabels`.
    overwrite
        Whether a data set that is there may be replaced.
    keep
        Keep what is finished beside the output if the run is stopped, for another to go on from.
    resume
        Go on from what is kept, and keep it again. Where nothing is, all is still to be done; where
        the set is there and of the same inputs and settings, nothing is.
    cluster
        Workers that cut; by default threads of this process do. The set is the same.
    say
        Told, in a sentence each, what a person should know.
    progress
        Called with the number of pixels done.
    options
        See `TileOptions`.

    Raises
    ------
    OptionError
        Settings without meaning.
    RasterReadError
        No scene can be read. A scene that cannot, or is damaged, or holds nothing but nodata or 0,
        is left out and listed as long as others remain.
    BandError, GridError, LabelError, VectorError
        Bands, grids, labels or region do not fit.
    InputError
        No patch is left.
    LeftoverError
        An unfinished run left patches, and nobody said what to do with them, or they are of
        other settings.
    ClusterError
        The workers are gone.
    OutputError
        The data set cannot be written.
    """
    plan = plan_patches(
        scenes,
        output,
        labels=labels,
        confidence=confidence,
        label_table=label_table,
        overwrite=overwrite,
        resume=resume,
        say=say,
        **options,
    )
    return cut_patches(plan, keep=keep, cluster=cluster, progress=progress)


def cut_patches(
    plan: TilePlan,
    *,
    keep: bool = False,
    cluster: Cluster | None = None,
    progress: Callable[[int], None] | None = None,
) -> TileResult:
    """Cut what was planned, and write the data set.

    Parameters
    ----------
    plan
        Of `plan_patches`; used once.
    keep
        Keep what is finished beside the output if the run is stopped, for another to go on from.
    cluster
        Workers that cut; by default threads of this process do. The set is the same.
    progress
        Called with the number of pixels done.

    Raises
    ------
    RasterReadError
        No scene can be read.
    InputError
        No patch is left.
    LeftoverError
        What is there of an unfinished run is of other settings.
    ClusterError
        The workers are gone.
    OutputError
        The data set cannot be written.
    """
    began = time.perf_counter()
    if plan.resume and not plan.overwrite and os.path.lexists(plan.output) and _published(plan):
        if not is_there(plan.output, plan.inputs, plan.settings):
            raise OutputError(
                f"{plan.output} is there already, of other inputs or settings: choose another name,"
                " or replace it with --overwrite"
            )
        remove_useless([plan.output], KIND)
        if progress is not None:
            progress(plan.pixels)
        return TileResult(folder=plan.output, summary=summary_there(plan.output))
    keep_large_blocks()
    pixels = plan.pixels
    with ExitStack() as stack:
        kept: Unfinished | None = None
        if keep or plan.resume:
            kept = stack.enter_context(
                Unfinished(
                    [plan.output],
                    described(plan.inputs, plan.settings),
                    KIND,
                    resume=plan.resume,
                    overwrite=plan.overwrite,
                )
            )
            folder = stack.enter_context(_kept_folder(kept, plan))
        else:
            folder = stack.enter_context(whole_folder(plan.output, overwrite=plan.overwrite))
        outcome = _fill_folder(folder, plan, kept, cluster, progress)
    give_back()
    seconds = time.perf_counter() - began
    summary = summary_json(plan.inputs, plan.settings, outcome, pixels=pixels, seconds=seconds)
    return TileResult(folder=plan.output, summary={"output": str(plan.output), **summary})


def _published(plan: TilePlan) -> bool:
    """Whether a set that is there is none that an unfinished run should replace."""
    if not finished_parts(plan.output, KIND):
        return True
    hidden = kept_folder_of(plan.output)
    if (hidden / MADE).exists():
        return False
    # Stopped between giving the set its name and removing what was kept.
    with Unfinished(
        [plan.output], described(plan.inputs, plan.settings), KIND, resume=True, overwrite=False
    ) as kept:
        kept.remove()
    return True


@contextmanager
def _kept_folder(kept: Unfinished, plan: TilePlan) -> Iterator[Path]:
    """As `whole_folder`, of what outlives its run."""
    folder = kept.folder(plan.output)
    made = folder.path / MADE
    try:
        made.mkdir(exist_ok=bool(kept.noted))
        yield made
        if not plan.overwrite and os.path.lexists(plan.output):
            raise OutputError(
                f"{plan.output} appeared while it was being made; it was left as it is"
            )
        folder.publish_folder(made)
        kept.remove()
    except OSError as error:
        raise output_error(error, plan.output) from error


def _fill_folder(
    folder: Path,
    plan: TilePlan,
    kept: Unfinished | None,
    cluster: Cluster | None,
    progress: Callable[[int], None] | None,
) -> Outcome:
    """Write the whole data set into a folder."""
    inputs, settings = plan.inputs, plan.settings
    with ExitStack() as stack:
        assembly = Assembly(folder, inputs, settings, kept)
        stack.callback(assembly.close)
        # Left before the files are closed: no thread writes into a closed file.
        pool = stack.enter_context(ThreadPoolExecutor(settings.workers, "geoseg-cut"))
        if progress is not None and assembly.before:
            progress(assembly.pixels_before)
        if cluster is None:
            cut_scenes(assembly, pool, progress)
        else:
            cut_at_workers(assembly, cluster, pool, progress)
        if not sum(assembly.positions):
            if kept is not None:
                kept.remove()  # nobody needs to find that out again
            raise _no_patch_left(assembly.jobs)
        assembly.note_made()
        for writer in assembly.writers:
            writer.finish()
    outcome = _outcome(inputs, settings, assembly.statistics, assembly.measured_splits)
    outcome.ignored, outcome.withdrawn = assembly.ignored, assembly.withdrawn
    outcome.dropped = _dropped(assembly.jobs)
    outcome.before = assembly.before
    _write_records(folder, plan, assembly.jobs, outcome)
    if unseen := _unseen(inputs, outcome):
        plan.say(f"no training patch holds {', '.join(unseen)}: nothing of it can be learned")
    return outcome


def _unseen(inputs: Inputs, outcome: Outcome) -> list[str]:
    """Names of the classes that are in no training patch, where there are such patches."""
    if inputs.legend is None or not outcome.splits["train"]:
        return []
    of_patches = inputs.labelling == "patches"
    counts = (outcome.patches_with_class if of_patches else outcome.class_pixels)["train"]
    return [name for name, count in zip(inputs.legend.names, counts, strict=True) if not count]


def _no_patch_left(jobs: Sequence[Job]) -> InputError:
    """Say why every patch was dropped, and what to do."""
    dropped = _dropped(jobs)
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in dropped.items())
    advice = next((_ADVICE[reason] for reason in dropped if reason in _ADVICE), "check the inputs")
    return InputError(f"{jobs[0].scene.paths[0]}: no patch is left (dropped: {reasons}): {advice}")


def _dropped(jobs: Sequence[Job]) -> dict[str, int]:
    """Patches by the reason for which they were dropped, the most frequent first."""
    reasons = Counter(reason for job in jobs for reason in job.table.reason if reason != KEPT)
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _outcome(
    inputs: Inputs, settings: TileSettings, statistics: Statistics, measured: Sequence[int]
) -> Outcome:
    """Count what is in the set."""
    splits, pixels, class_pixels, holding = {}, {}, {}, {}
    for number, name in enumerate(SPLITS):
        counts = _of_split(inputs, number, lambda job: job.table.class_pixels)
        splits[name] = len(counts)
        sides = _of_split(inputs, number, lambda job: job.table.windows(job.window)[:, 2:])
        pixels[name] = int(sides.prod(axis=1).sum())
        if inputs.labelling == "pixels":
            class_pixels[name] = counts.sum(axis=0).tolist()
        if inputs.legend is not None:
            presence = _of_split(
                inputs, number, lambda job: job.table.presence_of(settings.present)
            )
            holding[name] = (presence == 1).sum(axis=0).tolist()
    return Outcome(
        statistics=statistics.results(inputs.bands),
        statistics_source="train"
        if settings.shares[0] > 0
        else "+".join(SPLITS[i] for i in measured),
        splits=splits,
        pixels=pixels,
        class_pixels=class_pixels,
        patches_with_class=holding,
    )


def _of_split(inputs: Inputs, split: int, of: Callable[[Job], NDArray[Any]]) -> NDArray[Any]:
    """(patches, …) of the patches of a split, in their order, from what `of` gives of all."""
    found = []
    for job in inputs.jobs:
        table = job.table
        found.append(of(job)[(table.position >= 0) & (table.split == split)])
    return np.concatenate(found)


def _write_records(folder: Path, plan: TilePlan, jobs: Sequence[Job], outcome: Outcome) -> None:
    """Write everything but the pixels; `jobs` are all scenes, those withdrawn too."""
    inputs, settings = plan.inputs, plan.settings
    for number, name in enumerate(SPLITS):
        if inputs.labelling == "pixels":
            counts = _of_split(inputs, number, lambda job: job.table.class_pixels)
            write_array(folder / name / "class_pixels.npy", counts)
        elif inputs.labelling == "patches":
            presence = _of_split(
                inputs, number, lambda job: job.table.presence_of(settings.present)
            )
            write_array(folder / name / "presence.npy", presence)
    write_index(folder / "index.gpkg", inputs, jobs, settings, outcome)
    content = dataset_json(inputs, settings, outcome)
    (folder / "dataset.json").write_text(
        json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        encoding="utf-8",
        newline="\n",
    )
