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
import hashlib
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.errors import ClusterError, GeosegError, OptionError
from geoseg.models.device import resolve_device
from geoseg.models.library import LibraryNetwork

Value = TypeVar("Value")

_OF_THE_NETWORK = re.compile(r"gloo/transport|^Gloo |^\[c10d\]|TCPStore|NCCL (error|communicator)")
"""What torch's errors say where processes do not reach one another: their type is any."""


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

    def agree(self, text: str) -> bool:
        """Return whether all processes say the same, the same answer in each."""
        if self.count == 1:
            return True
        own = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), np.uint8)
        own = own.astype(np.int64)
        # Where each is the mean of all, all are the same.
        return not self.any(bool((self.sum(own) != self.count * own).any()))

    def from_first(self, value: Value | None) -> Value:
        """Return what the first process gives, in each."""
        box: list[Any] = [value]
        if self.count > 1:
            torch.distributed.broadcast_object_list(box, 0)
        given: Value = box[0]
        return given

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
    ClusterError
        They cannot be reached, or one of them ended.
    """
    rank, count = launched()
    if count == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Counts are summed on the processor, gradients where they are.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with _in_words("cannot reach one another", _NAMES):
        torch.distributed.init_process_group(backend)
    try:
        with _in_words("have lost one another", _BEGIN_AGAIN):
            yield Processes(rank=rank, count=count)
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they hold the network
        raise
    finally:
        # The wrapped network holds the group, in circles: left to the interpreter's end, the
        # group's threads outlive what they need, and the process aborts.
        gc.collect()
        torch.distributed.destroy_process_group()


@contextmanager
def refused_together() -> Iterator[None]:
    """Have what one process refuses before it meets the others end these too.

    They would wait for it, for half an hour.
    """
    try:
        yield
    except GeosegError:
        if launched()[1] > 1:
            with suppress(Exception), joined(torch.device("cpu")):
                pass  # it goes again, which ends them
        raise


_NAMES = (
    "the name of each machine must lead the others to it; or say which network to take in"
    " GLOO_SOCKET_IFNAME, and of cards in NCCL_SOCKET_IFNAME"
)
_BEGIN_AGAIN = "see what ended the first of them, and start all again with --resume"


@contextmanager
def _in_words(what: str, advice: str) -> Iterator[None]:
    """Say in one line that processes do not reach one another.

    Raises
    ------
    ClusterError
        So it is.
    """
    try:
        yield
    except RuntimeError as error:
        said = " ".join(str(error).split())
        if not (isinstance(error, torch.distributed.DistError) or _OF_THE_NETWORK.search(said)):
            raise
        # Without the places in torch's own sources, and what it says of itself.
        why = re.sub(r"\[/[^\]]*\] *", "", said).partition(". This is typically")[0][:200]
        raise ClusterError(f"the processes that train {what} ({why}): {advice}") from error
