"""Digests: the same for the same contents, another for any other."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.errors import RasterReadError
from geoseg.raster import fingerprint
from geoseg.raster.scene import Scene

MakeRaster = Callable[..., Path]


def test_digest_is_that_of_the_contents_alone(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = make_raster("a.tif", np.arange(20, dtype="uint8").reshape(4, 5))
    scene = Scene.open(path)
    digest = scene.fingerprint()
    assert len(bytes.fromhex(digest)) == 16
    shutil.copy(path, tmp_path / "b.tif")
    assert Scene.open(tmp_path / "b.tif").fingerprint() == digest
    assert scene.select(["1"]).fingerprint() == digest
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset/>")  # QGIS writes one on looking
    assert Scene.open(path).fingerprint() == digest


def test_one_changed_pixel_changes_the_digest(make_raster: MakeRaster) -> None:
    data = np.arange(20, dtype="uint8").reshape(4, 5)
    one = Scene.open(make_raster("a.tif", data)).fingerprint()
    data[3, 4] += 1
    assert Scene.open(make_raster("a.tif", data)).fingerprint() != one


def test_order_of_files_matters(make_raster: MakeRaster) -> None:
    red, nir = (make_raster(f"s_{b}.tif", np.full((3, 3), ord(b[0]), "uint8")) for b in ("r", "n"))
    assert Scene.open([red, nir]).fingerprint() != Scene.open([nir, red]).fingerprint()


def test_large_files_enter_by_chunks_from_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "WHOLE_BYTES", 100)
    monkeypatch.setattr(fingerprint, "CHUNKS", 4)
    monkeypatch.setattr(fingerprint, "CHUNK_BYTES", 10)
    path = tmp_path / "a.bin"

    def digest(change: int | None) -> str:
        content = bytearray(1000)
        if change is not None:
            content[change] = 1
        path.write_bytes(content)
        return fingerprint.fingerprint_files([str(path)])

    base = digest(None)
    for seen in (0, 9, 330, 339, 660, 669, 990, 999):
        assert digest(seen) != base
    for unseen in (10, 329, 340, 659, 989):
        assert digest(unseen) == base
    path.write_bytes(bytes(1001))
    assert fingerprint.fingerprint_files([str(path)]) != base


def test_sources_of_a_vrt_and_of_a_vrt_in_it_enter(make_raster: MakeRaster, tmp_path: Path) -> None:
    def text(source: str) -> str:
        return (
            '<VRTDataset rasterXSize="3" rasterYSize="3"><GeoTransform>0,1,0,0,0,-1</GeoTransform>'
            '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename '
            f'relativeToVRT="1">{source}</SourceFilename></SimpleSource></VRTRasterBand>'
            "</VRTDataset>"
        )

    (tmp_path / "inner.vrt").write_text(text("a.tif"))
    (tmp_path / "outer.vrt").write_text(text("inner.vrt"))
    digests = set()
    for value in (1, 2):
        make_raster("a.tif", np.full((3, 3), value, "uint8"))
        digests.add(Scene.open(tmp_path / "outer.vrt").fingerprint())
        digests.add(Scene.open(tmp_path / "inner.vrt").fingerprint())
    assert len(digests) == 4


def test_a_mask_beside_the_file_enters(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", np.ones((3, 3), "uint8"))
    before = Scene.open(path).fingerprint()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.eye(3, dtype=bool))
    assert Path(f"{path}.msk").exists()
    scene = Scene.open(path)
    assert np.array_equal(scene.read(scene.grid.window).valid, np.eye(3, dtype=bool))
    assert scene.fingerprint() != before


def test_files_in_archives_enter_by_their_pixels(make_raster: MakeRaster, tmp_path: Path) -> None:
    digests = []
    for value, name in ((1, "x.zip"), (1, "y.zip"), (2, "z.zip")):
        path = make_raster("a.tif", np.full((40, 40), value, "uint8"))
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(path, "a.tif")
        digests.append(Scene.open(f"/vsizip/{tmp_path / name}/a.tif").fingerprint())
    assert digests[0] == digests[1] != digests[2]


def test_a_file_that_went_away_is_named(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", np.ones((3, 3), "uint8"))
    scene = Scene.open(path)
    scene.close()
    path.unlink()
    with pytest.raises(RasterReadError, match=r"a.tif: no such file"):
        scene.fingerprint()


def pam(band: str = "", dataset: str = "") -> str:
    return f'<PAMDataset>{dataset}<PAMRasterBand band="1">{band}</PAMRasterBand></PAMDataset>'


@pytest.mark.parametrize(
    "said",
    [
        pam("<NoDataValue>3</NoDataValue>"),
        pam("<Scale>0.1</Scale>"),
        pam("<Offset>-5</Offset>"),
        pam("<ColorInterp>Alpha</ColorInterp>"),
        pam(dataset="<GeoTransform>0, 2, 0, 0, 0, -2</GeoTransform>"),
        pam(dataset='<SRS dataAxisToSRSAxisMapping="1,2">EPSG:32612</SRS>'),
        pam(dataset='<Metadata><MDI key="NODATA_VALUES">0 0 0</MDI></Metadata>'),
    ],
)
def test_what_a_file_beside_says_of_reading_enters(
    make_raster: MakeRaster, tmp_path: Path, said: str
) -> None:
    path = make_raster("a.tif", np.arange(20, dtype="uint8").reshape(4, 5), crs=None)
    plain = Scene.open(path).fingerprint()
    beside = tmp_path / "a.tif.aux.xml"
    beside.write_text(said)
    found = Scene.open(path).fingerprint()
    assert found != plain
    other = {"1,2": "2,1", "Alpha": "Gray", ">3": ">4", ">0": ">1", "-5": "-7"}
    for text, replacement in other.items():
        said = said.replace(text, replacement)
    beside.write_text(said)
    assert Scene.open(path).fingerprint() not in (found, plain)


def test_what_programs_note_on_looking_does_not_enter(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    path = make_raster("a.tif", np.arange(20, dtype="uint8").reshape(4, 5))
    plain = Scene.open(path).fingerprint()
    noted = '<Metadata><MDI key="STATISTICS_MEAN">9.5</MDI></Metadata><Histograms></Histograms>'
    for said in (pam(noted), "<PAMDataset>, cut", ""):
        (tmp_path / "a.tif.aux.xml").write_text(said)
        assert Scene.open(path).fingerprint() == plain
    (tmp_path / "a.tif.aux.xml").write_text(pam("<NoDataValue>3</NoDataValue>"))
    found = Scene.open(path).fingerprint()
    # Written anew, as GDAL does when it adds statistics.
    written = '<NoDataValue le_hex_equiv="0000000000000840">3.00000E+00</NoDataValue>'
    (tmp_path / "a.tif.aux.xml").write_text(pam(noted + written))
    assert Scene.open(path).fingerprint() == found


def test_the_same_words_of_another_band_are_others(make_raster: MakeRaster, tmp_path: Path) -> None:
    path = make_raster("a.tif", np.ones((2, 3, 3), "uint8"))
    found = set()
    for band in ("1", "2"):
        said = pam("<NoDataValue>3</NoDataValue>").replace('band="1"', f'band="{band}"')
        (tmp_path / "a.tif.aux.xml").write_text(said)
        found.add(Scene.open(path).fingerprint())
    assert len(found) == 2


def test_what_is_beside_a_source_of_a_vrt_enters(make_raster: MakeRaster, tmp_path: Path) -> None:
    make_raster("a.tif", np.ones((3, 3), "uint8"))
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="3" rasterYSize="3"><VRTRasterBand dataType="Byte" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    before = fingerprint.fingerprint_files([str(tmp_path / "a.vrt")])
    (tmp_path / "a.tif.aux.xml").write_text(pam("<NoDataValue>3</NoDataValue>"))
    assert fingerprint.fingerprint_files([str(tmp_path / "a.vrt")]) != before
