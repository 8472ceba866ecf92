"""Scores of maps against labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import Listed, PathLike, Progress, as_text, text_of, texts, threads

if TYPE_CHECKING:
    from geoseg.assessment.evaluating import Evaluated

Classes = Sequence[int | str]
"""Ids or names of classes."""


@checked()
def evaluate(
    prediction: PathLike | Sequence[PathLike],
    labels: PathLike,
    *,
    classes: Listed | None = None,
    ignore: Classes = (),
    leave_out: Classes = (),
    unpredicted: Literal["ignore", "wrong"] = "ignore",
    region: PathLike | None = None,
    assume_aligned: bool = False,
    strict_grid: bool = False,
    field: str | None = None,
    split: str | None = None,
    bootstrap: int = 0,
    block: str = "64px",
    seed: int = 0,
    boundary: str | None = None,
    seams: int | None = None,
    stages: str | None = None,
    target: Classes = (),
    exclude: Classes = (),
    cell: str | None = None,
    output: PathLike | None = None,
    errors: PathLike | None = None,
    scene: PathLike | None = None,
    device: str = "auto",
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluated:
    """Measure class maps against labels.

    Parameters
    ----------
    prediction
        Class raster, or several that are compared, side by side on the pixels that all have; a
        folder of maps, or a pattern; with `split` a model file, and a pixel that several patches
        hold counts once.
    labels
        Raster of label values, on another grid brought to the first prediction's, nearest; polygons
        of any vector file; for many maps a folder of labels, paired by name; with `split` a data
        set.
    classes
        Classes and the label values that mean them: "1=water,2=forest", a list or
        dictionary of that, or a file.
    ignore, leave_out
        Label values (or names of classes) that are not scored, and classes that enter no mean.
    unpredicted
        What a labelled pixel without a prediction is: not scored, or an error.
    region
        Score inside these polygons, or inside "xmin,ymin,xmax,ymax", only.
    assume_aligned, strict_grid
        Take pixels of the same row and column as the same where one raster has no place on Earth;
        refuse labels on another grid.
    field
        Attribute of polygons that says their class, by name or id.
    split
        Score a model on this split of a data set, "test" say.
    bootstrap, block, seed
        Intervals of 95 % from so many draws of blocks of ground, 1000 say; their side, "64px" or
        "2km"; and what the draws depend on.
    boundary, seams
        Compare borders within a distance, "2px" or "30m"; tell whether classes change more often
        across lines that lie so many pixels apart.
    stages, target, exclude, cell
        Compare stages of coverage, as of `coverage`: "agde" or a table, of which classes, and the
        side of the cells. A photograph is one. Pixels that are scored count alone, so cells at the
        edge of a map may differ from those of `coverage`.
    output
        ``.json``, a page ``.html``, or a folder for both and tables; nothing is written by default.
    errors, scene
        Raster of what is wrong and as what, to write, of many maps a folder of them; a scene, or a
        folder of them, to show beside the worst patches of the page.
    device
        Where the network runs, with `split`.
    overwrite, workers, progress
        Whether files may be replaced; threads, one a processor by default; called with numbers of
        finished pixels.

    Returns
    -------
    Of the first prediction its `scores` hold ``pixel_accuracy`` and other means and, a number a
    class, ``recall``, ``precision``, ``iou`` and ``f1``, and its `confusion` the counts, a row a
    true class; `evaluations` hold the same of each prediction. `content` is all of it as plain
    JSON, `findings` what was found beyond scores.

    Raises
    ------
    InputError, OptionError, OutputError
        The two cannot be laid on each other, a class is none, options do not go together, nothing
        can be scored, or a file cannot be written.
    """
    from geoseg.assessment.asked import Asked  # noqa: PLC0415 — pixels cost imports
    from geoseg.assessment.evaluating import Reports  # noqa: PLC0415

    asked = Asked(
        classes=as_text(classes),
        field=field,
        ignore=tuple(ignore),
        leave_out=tuple(leave_out),
        unpredicted=unpredicted,
        region=text_of(region),
        assume_aligned=assume_aligned,
        strict_grid=strict_grid,
        bootstrap=bootstrap,
        block=block,
        seed=seed,
        boundary=boundary,
        seams=seams,
        stages=stages,
        target=tuple(target),
        exclude=tuple(exclude),
        cell=cell,
        split=split,
        device=device,
        reports=Reports(
            report=None if output is None else Path(output),
            errors=None if errors is None else Path(errors),
            scene=text_of(scene),
            overwrite=overwrite,
        ),
    )
    count = threads(workers)
    with asked.job([*texts(prediction), str(labels)], workers=count) as (job, _):
        return job.run(workers=count, progress=progress)
