"""Files that processes open which stand in another folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import RasterReadError
from geoseg.raster.elsewhere import HandlesFrom
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window


def test_errors_name_a_file_as_it_was_given(
    make_raster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_raster("s.tif", np.ones((1, 20, 20), np.uint8))
    monkeypatch.chdir(tmp_path)
    scene = Scene.open("s.tif").opened_by(HandlesFrom(tmp_path))
    Path("s.tif").rename("gone.tif")
    Path("other").mkdir()
    monkeypatch.chdir("other")
    with pytest.raises(RasterReadError, match=r"^s\.tif: no such file") as told:
        scene.read(Window(0, 0, 5, 5))
    assert told.value.damaged == ""
    (tmp_path / "gone.tif").rename(tmp_path / "s.tif")
    assert scene.read(Window(0, 0, 5, 5)).data.sum() == 25
