"""Options of GDAL's vector side, for as long as they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyogrio


@contextmanager
def configured(option: str, value: str) -> Iterator[None]:
    """Set an option of GDAL's vector side, and set it back."""
    before = pyogrio.get_gdal_config_option(option)
    pyogrio.set_gdal_config_options({option: value})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({option: before})
