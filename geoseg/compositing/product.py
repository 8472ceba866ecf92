"""A product: one date of one sensor, as bands by common name with their scale and quality.

Knows which files hold which band; `geoseg.compositing.products` finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from geoseg.compositing.sensors import Sensor
from geoseg.errors import BandError, GridError, RasterReadError
from geoseg.raster.bands import find_name
from geoseg.raster.grid import Grid
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.opening.heads import heads_kept, read_head
from geoseg.raster.scene import Scene

__all__ = ["Product", "ProductBand"]


@dataclass(frozen=True, kw_only=True)
class ProductBand:
    """One band of a product."""

    name: str
    """Common name ("blue", "swir1"), or the file's where no sensor is known."""
    path: str
    """File that holds it."""
    index: int = 1
    """Its number in that file, from 1."""
    aliases: tuple[str, ...] = ()
    """Other names that mean it."""
    scale: float = 1.0
    """Physical value = scale × reading + offset."""
    offset: float = 0.0
    """See `scale`."""
    fill: float | None = None
    """Reading that means "none" where the file declares no nodata of its own; None where any may be
    one. `Product.scene` masks it."""
    unit: str = ""
    """"reflectance", "K", "W/(m² sr µm)", or "" for readings as the sensor gave them."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names that mean this band."""
        return (self.name, *self.aliases)


@dataclass(frozen=True, kw_only=True)
class Product:
    """One date of one sensor."""

    name: str
    """For people: the product's identifier, or the file's name."""
    source: str
    """What was opened."""
    sensor: Sensor | None
    """What it was taken by; None of a raster of which nobody said."""
    acquired: date | None
    """Day of acquisition, UTC."""
    cloud_cover: float | None
    """Percent, as the product states it."""
    bands: tuple[ProductBand, ...]
    """The bands that are there, in the sensor's order."""
    quality_bands: tuple[ProductBand, ...]
    """Its quality bands that are there, called as `geoseg.compositing.masks.clear` wants them."""
    quality_kind: str | None
    """Code that they are written in, for `masks.clear`; None where the product has none."""
    missing: tuple[ProductBand, ...] = ()
    """Bands and quality bands of which the product says that it has them, and whose files are not
    there."""
    opened: Scene | None = None
    """The scene, where all bands and quality bands are one already (a raster), under their names
    here."""

    @property
    def word(self) -> str:
        """What names it on a command line, without folders: a raster's file name, else its name."""
        if self.opened is None:
            return self.name
        return (Path(self.source).name or self.name) if is_local_file(self.source) else self.source

    @property
    def band_names(self) -> tuple[str, ...]:
        """Common names of the bands that are there."""
        return tuple(band.name for band in self.bands)

    def band(self, name: str) -> ProductBand:
        """Return the band that a name means: common name, the product's own, or a catalogue's.

        Else a word of one common name, see `geoseg.raster.bands.find_name`.

        Raises
        ------
        RasterReadError
            The product has it, but its file is not there.
        BandError
            It has none of that name, or several; the message lists them.
        """
        wanted = name.strip().casefold()
        for band in (*self.bands, *self.missing):
            if wanted in (known.casefold() for known in band.names):
                if band in self.missing:
                    raise RasterReadError(
                        f"{band.path}: is the band “{band.name}” of {self.name} and is not there; "
                        "download it, or choose bands without it"
                    )
                return band
        found = find_name(self.band_names, name, where=self.source)
        if found is not None:
            return self.bands[found]
        there = ", ".join(self.band_names) or "none"
        raise BandError(f"{self.source}: has no band “{name}”; there are: {there}")

    def scene(self, names: Sequence[str]) -> Scene:
        """Return bands as a scene of readings as in the files: not scaled, fill invalid.

        Its bands have their common names, in the order asked for.

        Raises
        ------
        GridError
            These bands have pixels of different sizes; see `scenes`.
        """
        scenes = self.scenes(names)
        if len(scenes) > 1:
            kinds = "; ".join(f"{', '.join(s.band_names)}: {s.grid.describe()}" for s in scenes)
            raise GridError(
                f"{self.name}: bands lie on different grids ({kinds}); choose among them"
            )
        return scenes[0]

    @heads_kept()
    def scenes(self, names: Sequence[str]) -> list[Scene]:
        """Return bands as scenes, one for each grid, in the order of their first bands.

        Sentinel-2 has pixels of 10, 20 and 60 m, Landsat's panchromatic band some of 15 m.

        Raises
        ------
        BandError
            No name, one comes twice, or the product has no such band.
        RasterReadError
            A file is not there or cannot be read.
        """
        chosen = [self.band(name) for name in names]
        if not chosen or len({band.name for band in chosen}) != len(chosen):
            raise BandError(
                f"{self.name}: name bands, each once; there are: {', '.join(self.band_names)}"
            )
        if self.opened is not None:
            scene = self.opened.select([band.name for band in chosen])
            return [scene.with_nodata([band.fill for band in chosen])]
        return [_together(group) for group in _by_grid(chosen)]

    def quality(self) -> Scene | None:
        """Return the quality bands as a scene of codes; None where the product has none.

        Of Landsat Collection 2 QA_PIXEL is needed, and QA_RADSAT comes with it if it is there.

        Raises
        ------
        RasterReadError
            The product should have one and its file is not there, so what is clear is not known.
        """
        if self.quality_kind is None:
            return None
        if not self.quality_bands:
            lost = next((b.path for b in self.missing if b.name.startswith(_QUALITY)), self.source)
            raise RasterReadError(
                f"{lost}: {self.name} has no quality band there, so which pixels are clear is not "
                "known; download it, or do without (--quality none)"
            )
        names = [band.name for band in self.quality_bands]
        opened = self.opened
        scene = _together(self.quality_bands) if opened is None else opened.select(names)
        # Every code has its own fill; a file that declares 0 as nodata would hide what is clear.
        return scene.with_nodata([None] * len(names))


_QUALITY = ("qa_", "bqa", "fmask", "scl")


def _by_grid(bands: Sequence[ProductBand]) -> list[list[ProductBand]]:
    grids: list[tuple[Grid, list[ProductBand]]] = []
    for band in bands:
        here = read_head(band.path).grid
        for grid, members in grids:
            if grid.same_pixels(here):
                members.append(band)
                break
        else:
            grids.append((here, [band]))
    return [members for _, members in grids]


def _together(bands: Sequence[ProductBand]) -> Scene:
    """Bands on one grid, each of a file of its own or of one that holds several, as a scene."""
    paths = list(dict.fromkeys(band.path for band in bands))
    counts = [len(read_head(path).bands) for path in paths]
    scene = Scene.open(paths, band_names=[str(n) for n in range(sum(counts))])
    at = {(band.path, band.index): band for band in scene.bands}
    try:
        found = [at[band.path, band.index] for band in bands]
    except KeyError as error:
        path, index = error.args[0]
        raise BandError(f"{path}: has no band {index}; re-download or recreate it") from None
    # What a file declares is what its own writer meant; products' fill is for files that do not.
    nodata = [b.fill if f.nodata is None else f.nodata for b, f in zip(bands, found, strict=True)]
    scene = scene.select([band.name for band in found])
    return scene.renamed([band.name for band in bands]).with_nodata(nodata)
