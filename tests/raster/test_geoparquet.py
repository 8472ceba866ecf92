from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from geoseg.errors import VectorError
from geoseg.raster.geoparquet import (
    ParquetLayer,
    can_arrow,
    is_geoparquet,
    parquet_tags,
    read_geoparquet,
)

BOXES = [shapely.box(0, 0, 1, 1).wkb, shapely.box(2, 0, 3, 1).wkb]


def write(path: Path, crs: str | None = "EPSG:32612") -> str:
    layer = ParquetLayer(path, crs, "Polygon", {"TAG": "é"})
    values = {"id": np.array([1, 2]), "name": np.array(["a", None], object)}
    layer.write(BOXES[:1], {key: column[:1] for key, column in values.items()})
    layer.write(BOXES[1:], {"id": values["id"][1:], "name": np.array(["b"], object)})
    layer.close()
    layer.close()
    return str(path)


@pytest.mark.parametrize("crs", ["EPSG:32612", None])
def test_what_is_written_is_read_again(tmp_path: Path, crs: str | None) -> None:
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "a.parquet", crs)
    found, wkb, columns = read_geoparquet(path, fields=True)
    assert found == crs
    assert list(wkb) == BOXES
    assert columns["id"].tolist() == [1, 2]
    assert columns["name"].tolist() == ["a", "b"]
    assert read_geoparquet(path, fields=False)[2] == {}
    assert parquet_tags(path)["TAG"] == "é"


def test_what_is_no_geoparquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(VectorError, match=r"a\.parquet is no Parquet file"):
        read_geoparquet(str(path), fields=True)


def test_without_pyarrow_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    assert is_geoparquet(str(path))
    assert not is_geoparquet(str(tmp_path / "none.parquet"))
    assert not can_arrow()
    with pytest.raises(VectorError, match=r"pip install pyarrow"):
        read_geoparquet(str(path), fields=True)
