"""Which releases run here: results are the same bytes only where these are the same."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from geoseg import __version__

ALWAYS = ("geoseg", "distributed")
"""Packages that are always compared."""


@cache
def releases(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the releases of Python, geoseg and some packages in this process.

    Parameters
    ----------
    packages
        Names of packages, or ``module:attribute`` for what a module says of something within it.

    Returns
    -------
    Releases by name; empty for what is not installed.
    """
    found = {"Python": platform.python_version(), "geoseg": __version__}
    return found | {name: _release(name) for name in packages if name not in found}


def _release(name: str) -> str:
    module, _, attribute = name.partition(":")
    try:
        return str(getattr(import_module(module), attribute)) if attribute else version(name)
    except (PackageNotFoundError, ImportError, AttributeError):
        return ""


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """Say what is of another release there; empty if nothing is.

    What is not installed here is not compared: nothing here needs it.
    """
    return "; ".join(
        f"{name.replace(':', ' ')} {theirs.get(name) or 'not at all'}, here {release}"
        for name, release in ours.items()
        if release and theirs.get(name, "") != release
    )


def as_dask_tells(packages: Mapping[str, object], names: Sequence[str]) -> dict[str, str]:
    """Bring what dask tells of a process into the form of `releases`."""
    python = ".".join(str(packages.get("python", "?")).split(".")[:3])
    return {"Python": python} | {name: str(packages.get(name) or "") for name in names}
