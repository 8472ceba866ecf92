"""From a data set of patches to a model file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import torch

from geoseg.errors import GeosegError, OptionError
from geoseg.models.device import failures_in_words, is_out_of_memory
from geoseg.patches.dataset import PatchDataset
from geoseg.raster.allocator import keep_large_blocks
from geoseg.training.distributed import Processes, joined, own_device, refused_together
from geoseg.training.interrupt import interruptible
from geoseg.training.keeper import SECONDS_BETWEEN_CHECKPOINTS
from geoseg.training.outputs import (
    Fitted,
    check_outputs,
    check_stored_as,
    output_paths,
    write_outputs,
)
from geoseg.training.records import EpochRecord
from geoseg.training.report.board import Board, check_tensorboard
from geoseg.training.run import Counter, Run
from geoseg.training.settings import Settings


def fit(
    dataset: PatchDataset | str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    description: str | None = None,
    stored_as: str = "float32",
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_seconds: float = SECONDS_BETWEEN_CHECKPOINTS,
    on_start: Callable[[Run], None] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: Counter | None = None,
    workers: int = 2,
    tensorboard: str | Path | None = None,
) -> Fitted:
    """Train a network on a data set of patches and write it as one model file.

    Beside the model appear its curves (``.curves.csv``, one line an epoch) and its report
    (``.report.json``, every score of the epoch kept); while the run lasts, a checkpoint
    (``.checkpoint``) from which it can go on. The model appears when the run is done, whole.

    Same data, settings and machine give the same bytes on the CPU, however often the run was
    interrupted; on a CUDA card, or over several processes, equal up to rounding. Torch's generators
    are left as they were; the C library is told to keep freed memory (`geoseg.raster.allocator`),
    which halves the time of a step on the CPU, and numbers too small to matter are flushed to zero.

    Parameters
    ----------
    dataset
        The data set or its folder; needs labels and training patches, and should have validation
        patches (split ``val``).
    output
        The model file, ``*.safetensors``.
    settings
        How to train; None for the defaults.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    threads
        Threads that the network uses on the CPU; None leaves torch's own choice.
    description
        What the model's card says to people; None for what it was trained on.
    stored_as
        Type of the kernels in the file, ``float32`` or ``float16`` (half the size; rounded after
        the scores were taken).
    resume
        Go on from the checkpoint if there is one, else start.
    overwrite
        Replace a model, and forget a checkpoint, that is there.
    checkpoint_seconds
        Write a checkpoint no more often than this.
    on_start
        Called with the run before its first epoch.
    on_epoch
        Called with the record of each epoch done.
    progress
        Called with the number of patches of each batch done, learned from or scored.
    workers
        Threads that make batches.
    tensorboard
        Folder in which TensorBoard finds the curves; None for none.

    Returns
    -------
    fitted
        The card, the report and what was written.

    Raises
    ------
    KeyboardInterrupt
        Somebody pressed Ctrl-C; the checkpoint is written.
    GeosegError
        The data cannot be learned from, the settings make no sense, the loss diverged, memory ran
        out, or an output cannot be written.
    """
    settings = settings or Settings()
    check_stored_as(stored_as)
    if workers < 1:
        raise OptionError("--workers must be at least 1")
    paths = output_paths(output)
    with refused_together():
        where = own_device(device)
    if tensorboard is not None:
        check_tensorboard()
    with _torch_set_up(where, threads), joined(where) as processes, interruptible() as stop:
        # Here, for what one process refuses ends the others as well.
        opened = dataset if isinstance(dataset, PatchDataset) else PatchDataset.open(dataset)
        if processes.is_first:
            check_outputs(paths, resume=resume, overwrite=overwrite)
        _check_same(opened, paths["checkpoint"] if resume else None, processes)
        run = Run(opened, settings, where, processes, workers=workers)
        run.checkpoint_seconds = checkpoint_seconds
        if settings.patience is not None and run.setup.val is None:
            raise OptionError("--patience needs validation patches: tile again with --split")
        if resume and paths["checkpoint"].exists():
            run.resume(paths["checkpoint"])
        if on_start is not None:
            on_start(run)
        with _told(run, on_epoch, tensorboard) as tell:
            run.epochs(paths["checkpoint"], stop, on_epoch=tell, progress=progress)
        epoch, tally = run.finish()
        fitted = None
        if processes.is_first:
            fitted = write_outputs(
                run,
                paths,
                epoch,
                tally,
                description=description,
                stored_as=stored_as,
                overwrite=overwrite,
            )
        return processes.from_first(fitted)


def _check_same(dataset: PatchDataset, checkpoint: Path | None, processes: Processes) -> None:
    """Refuse processes that would train on different data, or go on from different places."""
    if processes.count == 1:
        return
    if not processes.agree(dataset.hash()):
        raise OptionError(
            f"{dataset.folder} holds other patches on some of the machines: all must see the same"
            " data set by the same path"
        )
    if not processes.agree(str(checkpoint is not None and checkpoint.exists())):
        raise OptionError(
            f"{checkpoint} is there on some of the machines only: to go on from it, write the model"
            " to a folder that all of them share"
        )


@contextmanager
def _told(
    run: Run, on_epoch: Callable[[EpochRecord], None] | None, tensorboard: str | Path | None
) -> Iterator[Callable[[EpochRecord], None] | None]:
    """Give what is called after each epoch: the caller's function, and TensorBoard's writer."""
    if tensorboard is None or not run.is_first:
        yield on_epoch
        return
    with closing(Board(tensorboard)) as board:
        for record in run.history:
            board.add(record)

        def tell(record: EpochRecord) -> None:
            board.add(record)
            if on_epoch is not None:
                on_epoch(record)

        yield tell


@contextmanager
def _torch_set_up(device: torch.device, threads: int | None) -> Iterator[None]:
    """Set torch up for a run and leave its generators as they were."""
    cards = [device.index or 0] if device.type == "cuda" else []
    threads_before = torch.get_num_threads()
    benchmark_before = torch.backends.cudnn.benchmark
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cpu":
        keep_large_blocks()
        torch.set_flush_denormal(True)
    elif device.type == "cuda":
        # All batches are of one or two shapes, so trying the kernels out pays.
        torch.backends.cudnn.benchmark = True
    try:
        with failures_in_words(), torch.random.fork_rng(devices=cards):
            yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise GeosegError(
            f"the memory of {device} is too small: use a smaller --batch-size"
        ) from error
    finally:
        torch.set_num_threads(threads_before)
        torch.backends.cudnn.benchmark = benchmark_before
        if device.type == "cpu":
            torch.set_flush_denormal(False)
