"""What many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Tests share the processors among processes already; more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scenes; tests that need it carry the marker `realdata`."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GEOSEG_REAL_DATA", default))
    if not (folder / "zion").is_dir():
        pytest.skip(
            f"no real scenes in {folder}: set GEOSEG_REAL_DATA to the folder that holds them"
        )
    return folder
