"""Several processes that train one network, started by torch's own launcher.

::

    torchrun --nproc-per-node 2 -m geoseg train DIR -o MODEL

The launcher says in environment variables which process this is. Each takes its part of every
batch; gradients are averaged, each part weighing by its patches; all hold the same weights after
each step. A loss that is a mean over labelled pixels is that of a part, so where patches are
labelled unevenly, the gradient is not quite that of the whole batch. The first one alone writes
files. Without the launcher there is one process, and nothing here costs anything.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.errors import OptionError
from geoseg.models.device import resolve_device
from geoseg.models.library import LibraryNetwork


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The place of this process among those that train one network."""

    rank: int = 0
    """Its number, from 0."""
    count: int = 1
    """How many there are."""

    @property
    def is_first(self) -> bool:
        """Whether this one writes the files."""
        return self.rank == 0

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of an array over all processes, the same in each."""
        if self.count == 1:
            return values
        total = torch.from_numpy(np.array(values))
        torch.distributed.all_reduce(total)
        return np.asarray(total.numpy())

    def any(self, asked: bool) -> bool:
        """Return whether any process says so, the same answer in each."""
        return asked if self.count == 1 else bool(self.sum(np.array([int(asked)]))[0])

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first process."""
        if self.count > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor, 0)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace floating tensors by their mean over all processes."""
        if self.count == 1:
            return
        for tensor in tensors:
            if tensor.is_floating_point():
                torch.distributed.all_reduce(tensor)
                tensor.div_(self.count)

    def spread(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Wrap a network so that its gradients are averaged over all processes.

        On CUDA cards, batch norms take their statistics over all parts of a batch; on the
        processor each over its own part, and those of the first process are kept.
        """
        if self.count == 1:
            return network
        # Imported here: one process needs none of it.
        from torch.nn.parallel import DistributedDataParallel  # noqa: PLC0415

        return DistributedDataParallel(
            network,
            device_ids=[device.index] if device.type == "cuda" else None,
            # Some of the libraries' encoders hold stages that nothing comes out of.
            find_unused_parameters=isinstance(network, LibraryNetwork),
        )

    def prepared(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return the network with batch norms that look at all parts, where the device can."""
        if self.count == 1 or device.type != "cuda":
            return network
        made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return made

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()


def launched() -> tuple[int, int]:
    """Rank and number of processes that a launcher has set, (0, 1) without one.

    Raises
    ------
    OptionError
        The variables make no sense.
    """
    try:
        rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError as error:
        raise OptionError(
            "the environment variables RANK and WORLD_SIZE are no whole numbers: start several"
            " processes with torchrun"
        ) from error
    if not 0 <= rank < count:
        raise OptionError(f"the environment says process {rank} of {count}: start with torchrun")
    return rank, count


def own_device(name: str) -> torch.device:
    """Turn what the user typed into the device of this process.

    One of several processes takes the card of its number on this machine (``LOCAL_RANK``), unless
    the user named one card or the processor.

    Raises
    ------
    OptionError
        There is no such device.
    """
    _, count = launched()
    if count > 1 and (name == "cuda" or (name == "auto" and torch.cuda.is_available())):
        return resolve_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return resolve_device(name)


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Meet the other processes, if there are any, and part from them in the end.

    Raises
    ------
    OptionError
        The launcher's variables make no sense.
    """
    rank, count = launched()
    if count == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Counts are summed on the processor, gradients where they are.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend)
    try:
        yield Processes(rank=rank, count=count)
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they hold the network
        raise
    finally:
        # The wrapped network holds the group, in circles: left to the interpreter's end, the
        # group's threads outlive what they need, and the process aborts.
        gc.collect()
        torch.distributed.destroy_process_group()
