"""Data sets of patches, and models that learn from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from geoseg.api.arguments import checked
from geoseg.api.common import PathLike

if TYPE_CHECKING:
    from geoseg.models.bundle import ModelBundle
    from geoseg.patches.dataset import PatchDataset
    from geoseg.patches.settings import TileOptions
    from geoseg.patches.tile import TileResult
    from geoseg.training.comparison.compare import Comparison
    from geoseg.training.comparison.plan import PlannedRun
    from geoseg.training.outputs import Fitted
    from geoseg.training.records import EpochRecord


class TrainOptions(TypedDict, total=False):
    """Settings of `train`; `geoseg.training.settings.Settings` says what each means."""

    model: str
    model_options: Mapping[str, Any]
    weights: str | None
    loss: str | None
    present: float | None
    confidence: Literal["weight", "none"] | float | None
    optimizer: str
    lr: float | None
    weight_decay: float | None
    momentum: float
    schedule: str
    epochs: int
    swa: str | None
    batch_size: int
    accumulate: int
    sampler: str
    max_class_share: str | None
    downscale: int
    augment: str
    keep: Literal["best", "last"]
    best_by: Literal["miou", "accuracy", "loss"]
    patience: int | None
    seed: int
    precision: str


@checked(settings="geoseg.patches.settings.TileOptions")
def tile(
    scenes: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    labels: PathLike | Sequence[PathLike] = (),
    confidence: PathLike | Sequence[PathLike] = (),
    label_table: PathLike | None = None,
    cluster: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int], None] | None = None,
    **options: Unpack[TileOptions],
) -> TileResult:
    """Cut scenes and their labels into a data set of patches.

    Parameters
    ----------
    scenes
        Files, folders or patterns.
    output
        Folder to make: index.gpkg, dataset.json and the pixels of each split.
    labels
        A raster of class codes for each scene, in their order, or one for all. On another grid they
        are brought to the scene's, nearest.
    confidence
        How sure labels are, from 0 to 1: as many rasters as of labels.
    label_table
        Classes of whole patches in place of `labels`: a CSV or a vector file.
    cluster
        Address of a dask scheduler, "tcp://HOST:PORT", whose workers cut, ``workers`` threads each;
        or "local" for processes of this machine (in a script, below
        ``if __name__ == "__main__"``). The data set does not depend on it.
    overwrite
        Whether a data set that is there may be replaced.
    resume
        Whether finished patches are kept while the set is made, and those of a call that was
        stopped are taken over if it is of the same scenes, labels and options.
    say
        Told, in a sentence each, what a person should know.
    progress
        Called with numbers of finished pixels.
    options
        As of `geoseg.patches.settings.TileOptions`: ``size=256`` (px), ``stride``, ``bands``,
        ``max_nodata=0.5``, ``split=(0.8, 0.1, 0.1)``, ``classes``, ``seed=0`` and more.

    Returns
    -------
    The folder and a summary; its `open` gives what `open_patches` gives.

    Raises
    ------
    OptionError, InputError, OutputError
        Settings without meaning, nothing to cut, or a folder that cannot be written.
    ClusterError
        The workers cannot be reached, or are gone.
    """
    from geoseg.patches.tile import tile as make  # noqa: PLC0415 — pixels cost imports
    from geoseg.raster.elsewhere import workers_elsewhere  # noqa: PLC0415

    with workers_elsewhere(cluster, options.get("workers")) as others:
        return make(
            scenes,
            output,
            labels=labels,
            confidence=confidence,
            label_table=label_table,
            overwrite=overwrite,
            keep=resume,
            resume=resume,
            cluster=others,
            say=say,
            progress=progress,
            **options,
        )


@checked()
def open_patches(folder: PathLike) -> PatchDataset:
    """Open a data set that `tile` made.

    Its ``split("train")`` gives arrays mapped from disk: ``images`` (patches, bands, rows, cols) of
    readings and ``labels`` (patches, rows, cols) of class indices, 255 for unlabelled. A patch of
    it by number is a pair of float32 and int64, so a torch DataLoader takes it as a data set.

    Raises
    ------
    InputError
        The folder holds no such data set.
    """
    from geoseg.patches.dataset import PatchDataset  # noqa: PLC0415 — pixels cost imports

    return PatchDataset.open(folder)


@checked(settings="geoseg.api.learning.TrainOptions")
def train(
    patches: PatchDataset | PathLike,
    output: PathLike,
    *,
    device: str = "auto",
    threads: int | None = None,
    workers: int = 2,
    description: str | None = None,
    stored_as: Literal["float32", "float16"] = "float32",
    tensorboard: PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    **options: Unpack[TrainOptions],
) -> Fitted:
    """Train a network on a data set of patches and write it as one model file.

    Parameters
    ----------
    patches
        The data set or its folder, with labels; here or in object storage.
    output
        The model, ``NAME.safetensors``; NAME.report.html, NAME.report.json, NAME.curves.csv and
        NAME.curves.png appear beside it.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    threads, workers
        Threads of the network on the processor (None leaves torch's choice), and those that make
        batches.
    description, stored_as
        What the model says of itself, and the type of its kernels in the file.
    tensorboard
        Folder for curves that TensorBoard shows.
    resume, overwrite
        Go on from the checkpoint beside the model, if there is one; replace what is there.
    on_epoch
        Called with the record of each epoch done.
    options
        As of `TrainOptions`: ``model="unet-small"``, ``loss="0.5*ce + 0.5*lovasz-softmax"``,
        ``epochs=60``, ``seed=0`` and more.

    Returns
    -------
    The model's card, its report, a record an epoch and the files.

    Raises
    ------
    GeosegError
        The data cannot be learned from, settings make no sense, the loss diverged, memory ran out,
        or an output cannot be written.
    """
    from geoseg.training.fit import fit  # noqa: PLC0415 — imports torch
    from geoseg.training.settings import Settings  # noqa: PLC0415

    return fit(
        patches,
        output,
        Settings(**options),
        device=device,
        threads=threads,
        workers=workers,
        description=description,
        stored_as=stored_as,
        tensorboard=tensorboard,
        resume=resume,
        overwrite=overwrite,
        on_epoch=on_epoch,
    )


@checked(settings="geoseg.api.learning.TrainOptions")
def compare(
    patches: PatchDataset | PathLike,
    output: PathLike,
    grid: Mapping[str, object] = MappingProxyType({}),
    *,
    folds: int | None = None,
    test: PatchDataset | PathLike | None = None,
    jobs: int = 1,
    device: str = "auto",
    threads: int | None = None,
    workers: int = 2,
    description: str | None = None,
    stored_as: Literal["float32", "float16"] = "float32",
    tensorboard: PathLike | None = None,
    overwrite: bool = False,
    on_run: Callable[[PlannedRun, Mapping[str, Any]], None] | None = None,
    **options: Unpack[TrainOptions],
) -> Comparison:
    """Train every combination of some settings and set their scores side by side.

    The same call again skips what is done and goes on with what was interrupted.

    Parameters
    ----------
    patches
        The data set or its folder, with labels.
    output
        Folder for a model a run, and for comparison.csv, comparison.json and comparison.html.
    grid
        Setting of `TrainOptions` → its values: ``{"loss": ["ce", "focal"], "seed": [0, 1, 2]}``;
        runs that differ by the seed or the fold alone make one row. A value alone is a list of one.
    folds
        Train each combination so many times, validating on another part of the ground each time.
    test
        Another data set to score every model on: its test patches, if it has any, else all.
    jobs
        How many to train at a time.
    device, threads, workers, description, stored_as, tensorboard
        As for `train`; threads over all jobs.
    overwrite
        Train all anew, also what is there.
    on_run
        Called with each run and its outcome.
    options
        Settings that all have in common, as of `TrainOptions`.

    Returns
    -------
    Its `content` is the table as plain JSON: ``groups`` are its rows, with their ``settings`` and
    the ``mean`` and ``std`` of scores; `paths` names the files.

    Raises
    ------
    GeosegError
        As `train`; or a setting is none, or a value is none of it.
    """
    from geoseg.training.comparison.compare import compare as make  # noqa: PLC0415 — imports torch
    from geoseg.training.comparison.plan import How  # noqa: PLC0415
    from geoseg.training.settings import Settings  # noqa: PLC0415

    return make(
        patches,
        output,
        Settings(**options),
        {name: _several(values) for name, values in grid.items()},
        How(
            jobs=jobs,
            device=device,
            threads=threads,
            workers=workers,
            description=description,
            stored_as=stored_as,
            tensorboard=tensorboard,
            overwrite=overwrite,
        ),
        folds=folds,
        test=test,
        on_run=on_run,
    )


def _several(values: object) -> Sequence[Any]:
    """Return values as they are listed; one alone is a list of one."""
    if isinstance(values, Iterable) and not isinstance(values, str | Mapping):
        return tuple(values)
    return (values,)


@checked()
def load_model(path: PathLike, *, device: str = "cpu") -> ModelBundle:
    """Load a model: its network and its card; an ONNX file, or weights with a card beside, as well.

    It may lie at an address (``https://…``, ``s3://…``); then it is brought here, once a version.
    Runs no code from the file. ``network`` is a torch module in evaluation mode that maps
    normalised float32 (N, bands, rows, cols) to logits (N, classes, rows, cols); ``card`` says
    which bands, mean and deviation it wants, and which classes it knows.

    Raises
    ------
    ModelError
        The file is not there, or is no model.
    """
    from geoseg.models.opening import open_model  # noqa: PLC0415 — imports torch

    return open_model(path, device)
