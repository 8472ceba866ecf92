"""The rasters that Earth Engine's pixels become: a composite, its counts, labels.

They appear together when all are whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.earthengine.asking import ASSETS, Asked
from geoseg.compositing.earthengine.assembly import Assembly
from geoseg.compositing.earthengine.expression import CLEAR, fingerprint
from geoseg.compositing.earthengine.labels import MOST
from geoseg.compositing.earthengine.plan import Layer
from geoseg.compositing.earthengine.settings import EarthEngineSettings, Place
from geoseg.compositing.storage import Storage
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.provenance import option_words, provenance

__all__ = ["Outputs", "Written"]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was counted on the way."""

    counts: NDArray[np.int64]
    """(images + 1,) pixels by number of clear images."""
    clipped: int
    """Values that did not fit the stored type."""
    classes: dict[str, int]
    """Pixels of each class of the labels; empty without such."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Rasters to be made of what is fetched."""

    settings: EarthEngineSettings
    place: Place
    asked: Asked
    """What was asked for."""
    composite: Path
    """GeoTIFF of the bands and, without `counts`, of the numbers of clear images."""
    counts: Path | None
    """GeoTIFF of those alone."""
    labels: Path | None
    """Class raster of the labels, where there are such."""
    overwrite: bool
    """Whether files may be replaced."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        paths = (self.composite, self.counts, self.labels)
        return tuple(path for path in paths if path is not None)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the composite's bands, without the counts."""
        return tuple(band.name for band in self.asked.recipe.bands[0])

    def write(self, assembly: Assembly, layers: Mapping[str, Layer]) -> Written:
        """Make the files of what was fetched.

        Parameters
        ----------
        assembly
            Puts windows together.
        layers
            What was fetched, by key.

        Raises
        ------
        EarthEngineError, InputError, OutputError
            More images were counted than there are; labels cannot be stored; a file cannot be
            written, or what was fetched be read.
        """
        storage, shared = self._storage(), self._shared()
        with ExitStack() as stack:
            writers = [stack.enter_context(self._bands_writer(storage, shared))]
            if self.counts is not None:
                second = RasterWriter(
                    self.counts,
                    self.place.grid,
                    band_names=[CLEAR],
                    dtype="uint16",
                    nodata=None,
                    **shared,
                )
                writers.append(stack.enter_context(second))
            numbers, clipped = assembly.write_composite(
                layers["composite"], storage, writers, len(self.asked.names)
            )
            classes: dict[str, int] = {}
            if self.labels is not None and self.asked.labels is not None:
                found = assembly.label_counts(layers["labels"])
                legend = self.asked.labels.legend(found)
                third = stack.enter_context(self._labels_writer(self.labels, legend, shared))
                assembly.write_labels(layers["labels"], legend, third)
                writers.append(third)
                classes = _by_name(found, legend)
            for one in writers:
                one.make()
        return Written(counts=numbers, clipped=clipped, classes=classes)

    def _storage(self) -> Storage:
        """Say how values are stored: whole numbers as the first collection stores them."""
        dtype, bands = self.settings.dtype, self.asked.recipe.bands[0]
        whole_numbers = dtype != "float32"
        return Storage(
            dtype=dtype,
            scales=tuple(band.stored[0] if whole_numbers else 1.0 for band in bands),
            offsets=tuple(band.stored[1] if whole_numbers else 0.0 for band in bands),
        )

    def _bands_writer(self, storage: Storage, shared: Mapping[str, Any]) -> RasterWriter:
        units = [band.unit for band in self.asked.recipe.bands[0]]
        more = [CLEAR] if self.counts is None else []
        return RasterWriter(
            self.composite,
            self.place.grid,
            band_names=[*self.bands, *more],
            dtype=storage.dtype,
            nodata=storage.nodata,
            scales=[*storage.scales, *(1.0 for _ in more)] if storage.is_scaled else None,
            offsets=[*storage.offsets, *(0.0 for _ in more)] if storage.is_scaled else None,
            units=[*units, *("" for _ in more)] if any(units) else None,
            **shared,
        )

    def _labels_writer(
        self, path: Path, legend: Legend | None, shared: Mapping[str, Any]
    ) -> RasterWriter:
        names, grid = ["class"], self.place.grid
        if legend is None:
            return RasterWriter(
                path,
                grid,
                band_names=names,
                dtype="uint16",
                nodata=MOST + 1,
                overview_resampling="mode",
                **shared,
            )
        return RasterWriter(
            path, grid, band_names=names, dtype="uint8", nodata=NODATA, legend=legend, **shared
        )

    def _shared(self) -> dict[str, Any]:
        """Say what all writers are told."""
        return {
            "tags": self._tags(),
            "overwrite": self.overwrite,
            "workers": self.settings.workers,
        }

    def _tags(self) -> dict[str, str]:
        settings, asked = self.settings, self.asked
        options = settings.words()
        if self.place.name is not None:
            options["region"] = self.place.name
        inputs = asked.inputs()
        if asked.labels is not None:
            options |= {"labels-collection": asked.labels.id, "labels-band": asked.labels.band}
            inputs[ASSETS + asked.labels.id] = fingerprint(asked.labels.image)
        command = ["geoseg", "composite"]
        for one in settings.collections:
            command += ["--earth-engine", one.id]
        words = option_words(options)
        options["earth-engine"] = ",".join(one.id for one in settings.collections)
        return provenance([*command, *words], inputs, options=options)


def _by_name(counts: Mapping[int, int], legend: Legend | None) -> dict[str, int]:
    if legend is None:
        return {str(value): counts[value] for value in sorted(counts)}
    return {one.name: counts[one.id] for one in legend.classes}
