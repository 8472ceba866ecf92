"""What will be cut, gathered: what is asked of files, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from geoseg.patches.tile import tile
from geoseg.raster import scene as scene_module

WriteRaster = Callable[..., Path]


@pytest.mark.parametrize("homogenise", [None, "moments"])
def test_the_digest_of_each_file_is_taken_once_a_run(
    write_raster: WriteRaster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    homogenise: str | None,
) -> None:
    rng = np.random.default_rng(0)
    scene = write_raster("scene.tif", rng.integers(1, 200, (2, 24, 24)).astype(np.uint8))
    labels = write_raster("labels.tif", rng.integers(1, 3, (24, 24)).astype(np.uint8))
    confidence = write_raster("sure.tif", np.full((24, 24), 0.5, np.float32))
    taken: Counter[str] = Counter()
    digest = scene_module.fingerprint_files

    def counted(paths: Sequence[str]) -> str:
        taken.update(Path(path).name for path in paths)
        return digest(paths)

    monkeypatch.setattr(scene_module, "fingerprint_files", counted)
    tile(
        scene,
        tmp_path / "set",
        labels=labels,
        confidence=confidence,
        classes="1=water,2=forest",
        size=12,
        homogenise=homogenise,
    )
    assert taken == {"scene.tif": 1, "labels.tif": 1, "sure.tif": 1}
