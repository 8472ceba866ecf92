"""Functions put their outputs to object storage as the commands do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

import geoseg
from geoseg.errors import OutputError
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening import objects
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.objectserver import object_server

BUCKET = "s3://made"
RNG = np.random.default_rng(6)


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    with object_server("made") as environment:
        yield environment


@pytest.fixture
def scene(store: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scene, and storage to write to."""
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "made").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "made"))
    path = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "count": 2, "height": 40, "width": 50, "dtype": "uint16"}
    place = Affine(10, 0, 5e5, 0, -10, 5.6e6)
    with rasterio.open(path, "w", crs="EPSG:32633", transform=place, nodata=0, **profile) as file:
        file.write(RNG.integers(1, 300, (2, 40, 50), "uint16"))
        file.descriptions = ("red", "nir")
    return path


def content(address: str) -> bytes | None:
    return objects.get(address, most=1 << 30)


def test_a_map_and_what_goes_with_it_are_put_and_named_by_their_addresses(
    scene: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.safetensors"
    pointwise_bundle(
        [[1, 0], [0, 1]], bands=("red", "nir"), legend=parse_legend("1=a,2=b"), path=model
    )
    here, far = tmp_path / "here", f"{BUCKET}/maps"
    here.mkdir()
    geoseg.predict(scene, here / "map.tif", model=model, confidence=here / "sure.tif")
    # As the second argument, and by name.
    found = geoseg.predict(scene, f"{far}/map.tif", model=model, confidence=f"{far}/sure.tif")
    for name in ("map.tif", "map.qml", "sure.tif"):
        assert content(f"{far}/{name}") == (here / name).read_bytes(), name
    assert str(tmp_path) not in repr(found)
    with pytest.raises(OutputError, match=r"s3://made/maps/map\.tif is there already"):
        geoseg.predict(scene, f"{far}/map.tif", model=model)
    geoseg.predict(scene, output=f"{far}/map.tif", model=model, overwrite=True)
    assert list((tmp_path / "made").rglob("*.tif")) == []


def test_a_data_set_is_put_and_found_again(scene: Path, tmp_path: Path) -> None:
    geoseg.tile(scene, tmp_path / "patches", size=16)
    made = geoseg.tile(scene, f"{BUCKET}/patches", size=16)
    assert made.folder == f"{BUCKET}/patches"
    assert made.summary["output"] == f"{BUCKET}/patches"
    for file in ("dataset.json", "train/images.npy"):
        assert content(f"{BUCKET}/patches/{file}") == (tmp_path / "patches" / file).read_bytes()
    again = geoseg.tile(scene, f"{BUCKET}/patches", size=16, resume=True)
    assert again.summary["there"]
    assert again.folder == f"{BUCKET}/patches"


def test_what_is_read_is_not_taken_for_an_output(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(geoseg.errors.GeosegError) as told:
        geoseg.tile(
            scene,
            tmp_path / "patches",
            labels=f"{BUCKET}/none.tif",
            confidence=f"{BUCKET}/sure.tif",
        )
    assert "was put there" not in str(told.value)


def test_an_address_of_another_kind_is_refused(scene: Path) -> None:
    with pytest.raises(OutputError, match="outputs are written to files, or to s3://"):
        geoseg.rasterise(scene, "https://host/out.tif", like=scene)


def test_what_could_not_be_put_is_said_to_wait_for_who_goes_on(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_file: Path, address: str) -> None:
        raise OutputError(f"{address} cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(objects, "put", fails)
        with pytest.raises(OutputError, match=r"nothing is lost: .* with --resume"):
            geoseg.tile(scene, f"{BUCKET}/waits", size=16)
    with pytest.raises(OutputError, match=r"did not put there .* with --resume"):
        geoseg.tile(scene, f"{BUCKET}/waits", size=16)
    geoseg.tile(scene, f"{BUCKET}/waits", size=16, resume=True)
    assert content(f"{BUCKET}/waits/dataset.json") is not None
