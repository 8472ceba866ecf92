"""Before patches are cut: what is there, what patches will hold, and which split they go to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from geoseg.compositing.homogenise.standard import COLOUR_TAG
from geoseg.errors import OutputError
from geoseg.patches.dataset import SPLITS
from geoseg.patches.gathered import Inputs, Say, Source
from geoseg.patches.inputs import open_inputs
from geoseg.patches.look import look_ahead
from geoseg.patches.settings import TileOptions, TileSettings
from geoseg.patches.splits import Ground, Splitting, split_ground
from geoseg.patches.unfinished import KIND
from geoseg.raster.cover.footprints import boxes_in
from geoseg.raster.outputs.checks import check_folder_place
from geoseg.raster.outputs.names import check_geopackage_path
from geoseg.raster.outputs.unfinished import check_leftover


@dataclass(kw_only=True)
class TilePlan:
    """What will be cut; `geoseg.patches.tile.cut_patches` does it, once."""

    inputs: Inputs
    settings: TileSettings
    splitting: Splitting
    output: Path
    overwrite: bool
    resume: bool
    say: Say

    @property
    def pixels(self) -> int:
        """Pixels to read, in all scenes."""
        return sum(job.window.area for job in self.inputs.jobs)


def plan_patches(
    scenes: Source | Sequence[Source],
    output: str | Path,
    *,
    labels: Source | Sequence[Source] = (),
    confidence: Source | Sequence[Source] = (),
    label_table: Source | None = None,
    overwrite: bool = False,
    resume: bool = False,
    say: Say | None = None,
    **options: Unpack[TileOptions],
) -> TilePlan:
    """Open scenes and labels, look at what is there, and give patches their splits.

    Parameters
    ----------
    scenes, output, labels, confidence, label_table, overwrite, resume, say, options
        As for `geoseg.patches.tile.tile`, which says what can go wrong, too.
    """
    settings = TileSettings.of(options)
    target = _check_folder(Path(output), overwrite=overwrite or resume)
    check_leftover([target], KIND, resume=resume, overwrite=overwrite)
    tell: Say = say or (lambda _: None)
    inputs = open_inputs(
        _listed(scenes),
        _listed(labels),
        settings,
        tell,
        confidence=_listed(confidence),
        label_table=label_table,
    )
    inputs.legend, failed = look_ahead(inputs.jobs, inputs.legend, settings)
    for job, reason in failed:
        inputs.drop(job, reason)
    if settings.homogenise is not None:
        # Imported here: it brings numba's loops, and few sets ask for it.
        from geoseg.patches.colouring import bring_to_one_colour  # noqa: PLC0415

        bring_to_one_colour(inputs, settings, tell)
    elif brought := [job.name for job in inputs.jobs if COLOUR_TAG in job.scene.tags]:
        more = f" and {len(brought) - 1:,} more" if len(brought) > 1 else ""
        tell(
            f"brought to one colour by geoseg homogenise: {brought[0]}{more}; give the colour.json "
            "that it saved as --homogenise, and models will bring other scenes to it"
        )
    for job in inputs.jobs:
        legend = inputs.pixel_legend
        job.table.set_classes(None if legend is None else len(legend))
    splitting = _split(inputs, settings)
    if splitting.empty:
        names = " and ".join(SPLITS[i] for i in splitting.empty)
        tell(
            f"no patch for {names}: the ground with data is in {splitting.blocks} "
            f"{'block' if splitting.blocks == 1 else 'blocks'}, too few to share out; use a "
            "smaller --split-block, smaller patches or more scenes"
        )
    return TilePlan(
        inputs=inputs,
        settings=settings,
        splitting=splitting,
        output=target,
        overwrite=overwrite,
        resume=resume,
        say=tell,
    )


def _listed(sources: Source | Sequence[Source]) -> list[Source]:
    return [sources] if isinstance(sources, str | Path) else list(sources)


def _check_folder(target: Path, *, overwrite: bool) -> Path:
    """Tell early whether a folder can be made."""
    check_folder_place(target)
    check_geopackage_path(target)
    if os.path.lexists(target):
        if not overwrite:
            raise OutputError(f"{target} is there already; replace it with --overwrite")
        if any(target.iterdir()) and not (target / "dataset.json").is_file():
            raise OutputError(
                f"{target} holds something else than a data set of patches, so it is not replaced; "
                "choose another name"
            )
    return target


def _split(inputs: Inputs, settings: TileSettings) -> Splitting:
    """Give the patches of all scenes their splits."""
    first = inputs.jobs[0].scene.grid
    # What photographs show is the same all over each: they go to one split whole.
    whole = settings.split_block is None and len(inputs.jobs) > len(SPLITS)
    frames, boxes = [], []
    for number, job in enumerate(inputs.jobs):
        windows = job.table.windows(job.window)
        grid = job.scene.grid
        # Scenes without a coordinate system share no ground.
        if whole and job.scene.photograph:
            one = np.array([0, 0, settings.size, settings.size], np.float64)
            boxes.append(np.tile(one, (len(windows), 1)))
        else:
            boxes.append(boxes_in(grid, windows, grid if grid.crs is None else first))
        frames.append(np.full(len(windows), number if grid.crs is None else 0, np.int64))
    splitting = split_ground(
        Ground(
            frame=np.concatenate(frames),
            box=np.concatenate(boxes),
            expected=np.concatenate([job.table.expected for job in inputs.jobs]),
        ),
        settings.shares,
        size=settings.size,
        seed=settings.seed,
        block=settings.split_block,
    )
    start = 0
    for job in inputs.jobs:
        job.table.split[:] = splitting.split[start : start + len(job.table)]
        start += len(job.table)
    return splitting
