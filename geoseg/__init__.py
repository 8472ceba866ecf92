"""geoseg turns satellite and aerial scenes into maps.

The functions named in `__all__` do what the commands of the same names do. Importing the package
costs nothing: a function's module is imported when the function is first asked for, and torch,
rasterio and geopandas when it runs. What type checkers read stands in ``__init__.pyi``.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "cam": "geoseg.api.maps",
    "check": "geoseg.api.labels",
    "compare": "geoseg.api.learning",
    "composite": "geoseg.api.composites",
    "composite_earth_engine": "geoseg.api.composites",
    "coverage": "geoseg.api.measures",
    "evaluate": "geoseg.api.evaluating",
    "export": "geoseg.api.exporting",
    "homogenise": "geoseg.api.scenes",
    "info": "geoseg.api.scenes",
    "load_model": "geoseg.api.learning",
    "open_patches": "geoseg.api.learning",
    "open_scene": "geoseg.api.scenes",
    "pansharpen": "geoseg.api.scenes",
    "predict": "geoseg.api.maps",
    "predict_array": "geoseg.api.arrays",
    "rasterise": "geoseg.api.scenes",
    "recode": "geoseg.api.labels",
    "run": "geoseg.api.recipes",
    "tile": "geoseg.api.learning",
    "train": "geoseg.api.learning",
    "vectorise": "geoseg.api.measures",
}
"""Name of each function → module that holds it."""

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 — names, all of them


def __getattr__(name: str) -> Any:
    """Import a function, or the errors, when they are first asked for."""
    if name == "errors":
        return importlib.import_module("geoseg.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, "errors", *(name for name in globals() if name.startswith("__"))})
