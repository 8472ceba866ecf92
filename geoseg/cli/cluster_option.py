"""``--cluster``, where a command can share its work out among machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

F = TypeVar("F", bound=Callable[..., object])


def cluster_option(function: F) -> F:
    """``--cluster``."""
    return click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Share the work out among the workers of a dask scheduler, tcp://HOST:PORT, or of"
        " processes of this machine: local. They open the files by the same paths; --workers is"
        " the threads of each, with local of all. The result is the same.",
    )(function)


def opened_cluster(
    address: str | None, workers: int | None, *, packages: Sequence[str] | None = None
) -> AbstractContextManager[Cluster | None]:
    """Reach the workers, if any were asked for; see `geoseg.raster.elsewhere.workers_elsewhere`.

    Parameters
    ----------
    address, workers
        As the user gave them.
    packages
        What must be of the same release there, by default what reads, computes and writes pixels.
    """
    if address is None:
        return nullcontext()
    from geoseg.raster.elsewhere import workers_elsewhere  # noqa: PLC0415 — pixels cost imports

    return workers_elsewhere(address, workers, packages=packages)
