"""Scenes and labels in, a data set of patches out."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, RasterReadError
from geoseg.patches.cutting import Job, SceneCutter
from geoseg.patches.dataset import SPLITS, PatchDataset
from geoseg.patches.gathered import Inputs, Say, Source
from geoseg.patches.plan import TilePlan, plan_patches
from geoseg.patches.record import Outcome, dataset_json, write_index
from geoseg.patches.settings import TileOptions, TileSettings
from geoseg.patches.storage import ArrayWriter, FileWriter, PatchWriter, write_array
from geoseg.patches.summary import summary_json, summary_text
from geoseg.patches.table import FEW_LABELS, KEPT, NO_LABEL, NODATA, OUTSIDE, STRADDLE
from geoseg.raster.statistics import Statistics, statistics_for
from geoseg.raster.whole import whole_folder

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
        say=say,
        **options,
    )
    return cut_patches(plan, progress=progress)


def cut_patches(plan: TilePlan, *, progress: Callable[[int], None] | None = None) -> TileResult:
    """Cut what was planned, and write the data set.

    Parameters
    ----------
    plan
        Of `plan_patches`; used once.
    progress
        Called with the number of pixels done.

    Raises
    ------
    RasterReadError
        No scene can be read.
    InputError
        No patch is left.
    OutputError
        The data set cannot be written.
    """
    began = time.perf_counter()
    pixels = plan.pixels
    with whole_folder(plan.output, overwrite=plan.overwrite) as folder:
        outcome = _fill_folder(folder, plan, progress)
    seconds = time.perf_counter() - began
    summary = summary_json(plan.inputs, plan.settings, outcome, pixels=pixels, seconds=seconds)
    return TileResult(folder=plan.output, summary={"output": str(plan.output), **summary})


def _fill_folder(folder: Path, plan: TilePlan, progress: Callable[[int], None] | None) -> Outcome:
    """Write the whole data set into a folder."""
    inputs, settings = plan.inputs, plan.settings
    jobs = list(inputs.jobs)
    measured = [0] if settings.shares[0] > 0 else [i for i, s in enumerate(settings.shares) if s]
    statistics = statistics_for(inputs.dtype, len(inputs.bands))
    # Asked for before scenes are withdrawn: the files are declared by then.
    invalid_value = _invalid_value(inputs, settings)
    ignored: Counter[int] = Counter()
    withdrawn: dict[str, str] = {}
    with ExitStack() as stack:
        writers = [_writer(folder / name, inputs, settings) for name in SPLITS]
        for writer in writers:
            stack.callback(writer.close)
        # Left before the files are closed: no thread writes into a closed file.
        pool = stack.enter_context(ThreadPoolExecutor(settings.workers, "geoseg-cut"))
        positions = [0] * len(SPLITS)
        for job in jobs:
            cutter = SceneCutter(
                job,
                settings=settings,
                legend=inputs.pixel_legend,
                dtype=inputs.dtype,
                writers=writers,
                first_positions=positions,
                statistics=statistics_for(inputs.dtype, len(inputs.bands)),
                measured_splits=measured,
                invalid_value=invalid_value,
                pool=pool,
            )
            reason = _cut(cutter, progress)
            job.scene.close()
            if reason:
                withdrawn[job.name] = reason
                job.table.withdraw(reason)
                inputs.drop(job, reason)
                for writer, count in zip(writers, positions, strict=True):
                    writer.keep(count)
                continue
            positions = cutter.positions
            statistics.merge(cutter.statistics)
            ignored.update(cutter.seen.ignored)
        if not sum(positions):
            raise _no_patch_left(jobs)
        for writer in writers:
            writer.finish()
    outcome = _outcome(inputs, settings, statistics, measured)
    outcome.ignored, outcome.withdrawn = ignored, withdrawn
    outcome.dropped = _dropped(jobs)
    _write_records(folder, plan, jobs, outcome)
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


def _cut(cutter: SceneCutter, progress: Callable[[int], None] | None) -> str:
    """Cut one scene; return why it cannot be used, or nothing."""
    try:
        cutter.run(progress)
    except RasterReadError as error:
        return str(error)
    if not cutter.seen.valid:
        return "all pixels are nodata"
    if not cutter.seen.nonzero:
        return "all readings are 0"
    return ""


def _writer(folder: Path, inputs: Inputs, settings: TileSettings) -> PatchWriter:
    """Make what takes the patches of a split."""
    kinds = ["labels"] if inputs.labelling == "pixels" else []
    kinds += ["confidence"] if inputs.confidence_paths else []
    if settings.storage == "npy":
        return ArrayWriter(
            folder,
            bands=len(inputs.bands),
            size=settings.size,
            dtype=inputs.dtype,
            kinds=kinds,
        )
    return FileWriter(folder, band_names=inputs.bands, nodata=_nodata(inputs), kinds=kinds)


def _nodata(inputs: Inputs) -> float | None:
    """Nodata value that GeoTIFF patches declare: that of all bands of all scenes, if it is one."""
    values = {band.nodata for job in inputs.jobs for band in job.scene.bands}
    if len(values) == 1 and None not in values:
        return values.pop()
    return float("nan") if inputs.dtype.kind == "f" else None


def _invalid_value(inputs: Inputs, settings: TileSettings) -> float:
    """Value that invalid pixels are stored as: the fill value in arrays, nodata in GeoTIFFs."""
    nodata = _nodata(inputs) if settings.storage == "geotiff" else None
    return settings.fill if nodata is None else nodata


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
