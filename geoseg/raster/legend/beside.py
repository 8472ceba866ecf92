"""The files that go with a raster: by which GDAL and QGIS know its classes and colours."""

from __future__ import annotations

from pathlib import Path

from geoseg.raster.legend.classes import Legend
from geoseg.raster.legend.palette import Ramp
from geoseg.raster.legend.style import class_aux_xml, class_qml, is_own_style, ramp_qml

# Files by which GDAL adds to a raster, behind its name.
_PARTS = (".aux.xml", ".ovr", ".msk")


def sidecars(
    path: Path, legend: Legend | None, ramp: Ramp | None, beyond: bytes | None
) -> dict[Path, str]:
    """Texts of the files beside a raster, by their places.

    Parameters
    ----------
    path
        The raster.
    legend, ramp
        Its classes or its colours.
    beyond
        What GDAL says of it that a GeoTIFF cannot hold, as XML.
    """
    texts: dict[Path, str] = {}
    if legend is not None:
        texts[aux_path(path)] = class_aux_xml(legend, beyond)
        texts[path.with_suffix(".qml")] = class_qml(legend)
    elif beyond is not None:
        texts[aux_path(path)] = beyond.decode()
    if ramp is not None:
        texts[path.with_suffix(".qml")] = ramp_qml(ramp)
    return texts


def stale_files(path: Path) -> list[Path]:
    """Files of an old raster of this name that would be taken for parts of a new one."""
    stale = [path.with_name(path.name + part) for part in _PARTS]
    style = path.with_suffix(".qml")
    if style.is_file() and is_own_style(style):  # a style that a person made is theirs
        stale.append(style)
    return stale


def aux_path(path: Path) -> Path:
    """Where GDAL looks for what a raster's own format cannot hold."""
    return path.with_name(path.name + ".aux.xml")
