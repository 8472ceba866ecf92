"""Where networks run: on one device of this machine, on several cards of it, or on many machines.

The rows that come back are the same; see `geoseg.inference.blocks`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

import torch

from geoseg.errors import OptionError
from geoseg.inference.blocks import (
    Block,
    BlockWork,
    Computed,
    by_cards,
    by_cluster,
    cut_blocks,
)
from geoseg.inference.classes import ClassRows
from geoseg.inference.members import Ensemble, make_ensemble
from geoseg.inference.networks import Networks
from geoseg.inference.plan import packages_of
from geoseg.inference.settings import PredictSettings
from geoseg.inference.stream import Work
from geoseg.models.bundle import ModelBundle
from geoseg.models.device import (
    are_several_cards,
    device_named,
    resolve_device,
    resolve_devices,
)
from geoseg.raster.provenance import SAME_PACKAGES

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

_PART_BYTES = 1 << 26
"""Rows of a block that are written at a time."""


class Engine(Protocol):
    """Computes the rows of scenes by networks that are made ready once."""

    @property
    def kind(self) -> str:
        """Type of device that they run on."""

    def rows(
        self, work: BlockWork, *, first: int, workers: int, count: Work
    ) -> Generator[ClassRows, None, None]:
        """Give the rows of a scene from `first` on, in order.

        Parameters
        ----------
        work
            What to compute.
        first
            First row.
        workers
            Threads.
        count
            Counts the tiles.
        """

    def close(self) -> None:
        """Let the networks go."""


def make_engine(
    models: Sequence[ModelBundle],
    settings: PredictSettings,
    *,
    device: str,
    cluster: Cluster | None = None,
) -> Engine:
    """Make models ready.

    Parameters
    ----------
    models
        One, or an ensemble.
    settings
        Precision and symmetries.
    device
        As `geoseg.models.device.resolve_devices` has it; with a cluster, of each of its workers.
    cluster
        Where to compute; here if None.

    Raises
    ------
    ModelError
        The models do not tell the same classes apart, or one knows no pixels.
    OptionError
        There is no such device.
    """
    if cluster is not None:
        return OnMachines(cluster, models, settings, device=device)
    ensembles = [
        make_ensemble(
            models,
            device=one,
            precision=settings.precision,
            tta=settings.tta,
            compiled=settings.compile,
        )
        for one in resolve_devices(device)
    ]
    return OnOne(ensembles[0]) if len(ensembles) == 1 else OnCards(ensembles)


def same_packages(models: Sequence[ModelBundle]) -> tuple[str, ...]:
    """Return what must be of one release on all machines, for maps to be the same bytes."""
    return (*SAME_PACKAGES, "torch", *packages_of(models))


@contextmanager
def engine_of(
    models: Sequence[ModelBundle],
    settings: PredictSettings,
    device: str,
    address: str | None,
    workers: int | None,
) -> Iterator[Engine | None]:
    """Open a cluster and make models ready in it; None where no address is given.

    Parameters
    ----------
    models, settings, device
        As for `make_engine`.
    address, workers
        As for `geoseg.cluster.cluster.Cluster.open`.

    Raises
    ------
    GeosegError
        As either.
    """
    if address is None:
        yield None
        return
    from geoseg.cluster.cluster import Cluster  # noqa: PLC0415 — a cluster was asked for

    packages = same_packages(models)
    with Cluster.open(address, workers=workers, packages=packages) as cluster:
        engine = make_engine(models, settings, device=device, cluster=cluster)
        with closing(engine):
            yield engine


class OnOne:
    """One device of this machine."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble

    @property
    def kind(self) -> str:
        """Type of the device."""
        return self._ensemble.device.type

    def rows(
        self, work: BlockWork, *, first: int, workers: int, count: Work
    ) -> Generator[ClassRows, None, None]:
        """Give rows as they are finished, a row of tiles at a time."""
        return work.rows(self._ensemble, first=first, threads=workers, count=count)

    def close(self) -> None:
        """Nothing to do: what nobody holds is let go."""


class OnCards:
    """Several devices of this machine, of one type, with the same networks on each."""

    def __init__(self, ensembles: Sequence[Ensemble]) -> None:
        self._ensembles = tuple(ensembles)

    @property
    def kind(self) -> str:
        """Type of the devices."""
        return self._ensembles[0].device.type

    def rows(
        self, work: BlockWork, *, first: int, workers: int, count: Work
    ) -> Generator[ClassRows, None, None]:
        """Give rows a block at a time."""
        classes, devices = self._ensembles[0].classes, len(self._ensembles)
        blocks = _blocks(work, first=first, classes=classes, at_once=devices)
        row_bytes = _row_bytes(work, classes)
        found = by_cards(self._ensembles, work, blocks, threads=workers, row_bytes=row_bytes)
        yield from _counted(found, count)

    def close(self) -> None:
        """Nothing to do: what nobody holds is let go."""


class OnMachines:
    """Workers of a cluster; the models are sent once to each."""

    def __init__(
        self,
        cluster: Cluster,
        models: Sequence[ModelBundle],
        settings: PredictSettings,
        *,
        device: str,
    ) -> None:
        # Whether they go together is found here, and in words.
        made = make_ensemble(models, device=torch.device("cpu"), precision="float32")
        self._classes = made.classes
        self.cluster = cluster
        self.kind = device_kind(cluster, device)
        self.networks = cluster.keep(Networks(models, settings, device=device, kind=self.kind))

    kind: str
    """Type of device that all workers compute on."""

    def rows(
        self, work: BlockWork, *, first: int, workers: int, count: Work
    ) -> Generator[ClassRows, None, None]:
        """Give rows a block at a time; how many threads workers use, the cluster was told."""
        del workers
        blocks = _blocks(work, first=first, classes=self._classes, at_once=self.cluster.at_once)
        row_bytes = _row_bytes(work, self._classes)
        found = by_cluster(self.cluster, self.networks, work, blocks, row_bytes=row_bytes)
        yield from _counted(found, count)

    def close(self) -> None:
        """Have the workers forget the models."""
        self.cluster.let_go(self.networks)


def device_kind(cluster: Cluster, device: str) -> str:
    """Say which type of device the cluster's workers compute on; that of one of them.

    Raises
    ------
    OptionError
        It has no such device, there is none of this name, or several are named.
    """
    if device != "auto":
        if are_several_cards(device):
            raise OptionError(
                f"--device {device}: a worker of a cluster computes on one card; start a worker for"
                " each, with CUDA_VISIBLE_DEVICES, and give --device cuda, or leave out --cluster"
            )
        return device_named(device).type
    if cluster.is_local:
        return resolve_device(device).type
    return next(cluster.ordered(_kind, None, [device]))


def _kind(_shared: None, device: str) -> str:
    return resolve_device(device).type


def _blocks(work: BlockWork, *, first: int, classes: int, at_once: int) -> list[Block]:
    grid = work.scene.grid
    if first >= grid.height:
        return []
    return cut_blocks(
        grid.height,
        work.settings,
        first=first,
        at_once=at_once,
        row_bytes=_row_bytes(work, classes),
        packed=work.packing is not None and not (work.confidence or work.probabilities),
    )


def _row_bytes(work: BlockWork, classes: int) -> int:
    """Return the size of a finished row."""
    pixel = 1 + 4 * work.confidence + 4 * classes * work.probabilities
    return work.scene.grid.width * pixel


def _counted(
    found: Generator[Computed, None, None], count: Work
) -> Generator[ClassRows, None, None]:
    with closing(found):
        for block in found:
            count.tiles += block.work.tiles
            count.skipped += block.work.skipped
            count.notes = tuple(dict.fromkeys((*count.notes, *block.work.notes)))
            # Who writes them holds some of them, and not several blocks.
            yield from _in_parts(block.rows)


def _in_parts(rows: ClassRows) -> Iterator[ClassRows]:
    """Give rows some at a time."""
    height, width = rows.class_index.shape
    deep = 0 if rows.probabilities is None else len(rows.probabilities)
    step = max(1, _PART_BYTES // ((5 + 4 * deep) * width))
    for begin in range(0, height, step):
        some = slice(begin, begin + step)
        yield ClassRows(
            rows.row + begin,
            rows.class_index[some],
            None if rows.confidence is None else rows.confidence[some],
            None if rows.probabilities is None else rows.probabilities[:, some],
            rows.packed,
        )
