"""The steps of a run: maps, ways of combining them, labels, measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, LabelError, ModelError
from geoseg.inference.blend import plan_axis
from geoseg.inference.cam.activation import Activations
from geoseg.inference.cam.combine import Combination, kept_combination
from geoseg.inference.cam.files import CamFiles
from geoseg.inference.cam.known import KnownClasses
from geoseg.inference.cam.label import BLOCK_ROWS, Labeller
from geoseg.inference.cam.measure import Measures
from geoseg.inference.cam.reference import FittedPatches, Reference
from geoseg.inference.cam.refine import Pamr
from geoseg.inference.cam.seams import SeamMeter
from geoseg.inference.cam.settings import LabelSettings, MapSettings
from geoseg.inference.cam.statistics import MapMoments, exact_medians
from geoseg.inference.cam.task import count_presence
from geoseg.inference.colour import WantedColour
from geoseg.inference.lane import lane
from geoseg.inference.members import InputSpec
from geoseg.inference.rows import map_rows
from geoseg.inference.settings import meant_area
from geoseg.inference.source import Area
from geoseg.inference.stream import Crew, Work
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.patches.presence import PRESENT
from geoseg.raster.allocator import give_back
from geoseg.raster.provenance import made_by, option_words, provenance
from geoseg.raster.scene import Scene

# Tiles computed together: so many as have that many pixels, and no more than that many. They are
# small, and the less is done at once, the more of the time is spent on asking for it.
_ON_CPU = (144 * 144, 16)


@dataclass(frozen=True, kw_only=True)
class Guides:
    """What else is known of a scene, and what to call it in the outputs' metadata."""

    area: Area | None = None
    """Where maps are wanted; everywhere if None."""
    area_name: str | None = None
    reference: Scene | None = None
    """Labels of pixels, to fit ``logistic`` on and to measure by."""
    assume_aligned: bool = False
    """Take a reference without a place on Earth as lying on the scene pixel by pixel."""
    known: KnownClasses | None = None
    """Which classes patches of known content hold."""
    known_name: str | None = None


@dataclass(kw_only=True)
class Making:
    """A run: a scene, a model, and how."""

    scene: Scene
    model: ModelBundle
    maps: MapSettings
    labels: LabelSettings
    guides: Guides
    activations: Activations
    colour: WantedColour
    workers: int
    progress: Callable[[int], None]

    def __post_init__(self) -> None:
        self.work = Work()
        self.kept: Combination | None = None
        self.spec = InputSpec.of(self.model.card)
        classes, grid, tiling = self.activations.classes, self.scene.grid, self.maps.tiling()
        self.moments = MapMoments(classes)
        lines = []
        for length in (grid.height, grid.width):
            axis = plan_axis(-(-length // self.maps.reduce), tiling.tile, tiling.steps, "mean")
            borders = {*axis.starts, *(start + axis.size for start in axis.starts)}
            lines.append(
                [b * self.maps.reduce for b in borders if 0 < b * self.maps.reduce < length]
            )
        self.seams = SeamMeter(lines[0], lines[1], classes, grid.width)

    def take_kept(self) -> tuple[str, ...]:
        """Take up the regression that the model keeps, and tell what is worth saying of it.

        Raises
        ------
        OptionError
            It keeps none.
        """
        card = self.model.card
        self.kept, notes = kept_combination(card.combination, self._how(), card.name)
        return notes

    @cached_property
    def _contents(self) -> str:
        """Digest of the scene's files, taken once: far away, it is many requests."""
        return self.scene.fingerprint()

    def _how(self) -> dict[str, Any]:
        """Say how the maps are made that classes are made of."""
        return self.maps.words() | {"refine": self.labels.refine}

    def write_maps(self, files: CamFiles) -> None:
        """Compute the maps, and write and measure them."""
        tiling = self.maps.tiling()
        device = self.activations.device
        if tiling.batch is None and device.type == "cpu":
            pixels, most = _ON_CPU
            together = max(1, min(most, pixels // self.maps.tile**2))
            tiling = replace(tiling, batch=together)
        with (
            lane("geoseg-write") as write,
            closing(Crew(device, self.workers)) as crew,
            closing(
                map_rows(
                    self.scene,
                    self.activations,
                    tiling,
                    specs=[self.spec],
                    area=self.guides.area,
                    workers=self.workers,
                    crew=crew,
                    work=self.work,
                )
            ) as found,
        ):
            for rows in found:
                shape = (self.activations.classes, *rows.wanted.shape)
                data = np.full(shape, np.nan, np.float32)
                if rows.means is not None:
                    np.copyto(data, rows.means.cpu().numpy(), where=rows.wanted)
                kept = rows.wanted.copy()  # rows are a view that the next ones overwrite
                write(lambda r=rows.row, d=data, w=kept: self._take(files, r, d, w))  # type: ignore[misc]
                self.progress(kept.size)
            write.drain()
            give_back()
        if self.moments.count == 0:
            where = self.guides.area_name
            raise InputError(
                f"{self.scene.name}: no valid pixel inside {where}; nothing to map"
                if where
                else f"{self.scene.name}: every pixel is nodata in one of the bands used; nothing"
                " to map"
            )
        files.set_limit(_limit(self.moments))

    def _take(
        self, files: CamFiles, row: int, data: NDArray[np.float32], wanted: NDArray[np.bool_]
    ) -> None:
        files.write_maps(row, data)
        self.moments.add(data[:, wanted])
        if not np.isfinite(self.moments.mean).all():
            raise ModelError(
                "the network's answer is not a number: the scene's values (see geoseg info) or the"
                " model's weights are beyond it"
            )
        self.seams.add(row, data)

    def ways(
        self, files: CamFiles, reference: Reference | None, fitted: FittedPatches | None
    ) -> tuple[list[Combination], tuple[str, ...]]:
        """Make the ways of combining maps: the one asked for first; to be measured, all of them."""
        made: dict[str, Callable[[], Combination]] = {
            "argmax": lambda: Combination.argmax(self.activations.classes),
            "zscore": lambda: Combination.zscore(self.moments.mean, self.moments.std),
            "median": lambda: Combination.median(
                exact_medians(lambda: _blocks(files), self.activations.classes)
            ),
        }
        kept = self.kept
        if fitted is not None and reference is not None:
            made["logistic"] = lambda: fitted.fit(
                reference, self.labeller(files).maps, self.labels.seed
            )
        elif kept is not None:
            made["logistic"] = lambda: kept
        first = self.labels.combine
        ways = [made.pop(first)()]
        notes = []
        for name, make in made.items() if reference is not None else ():
            try:
                ways.append(make())
            except LabelError as error:
                if files.keeps_regression:
                    raise
                notes.append(f"{name} is left out: {error}")
        return ways, tuple(notes)

    def labeller(self, files: CamFiles) -> Labeller:
        """Return what turns maps into classes."""
        return Labeller(
            files.read_maps,
            self.scene,
            self.spec,
            pamr=Pamr() if self.labels.refine else None,
            known=self.guides.known,
            workers=self.workers,
        )

    def write_labels(
        self,
        files: CamFiles,
        ways: Sequence[Combination],
        reference: Reference | None,
        fitted: FittedPatches | None,
    ) -> Measures | None:
        """Label the scene, write the labels and measure them."""
        if not ways:
            return None
        measures = Measures([way.method for way in ways], self.activations.classes)
        for row, block in self.labeller(files).blocks(ways):
            files.write_labels(row, block.index[0], block.confidence)
            if reference is not None:
                measures.add(row, block.index, reference, fitted)
            self.progress(block.confidence.size)
        return measures

    def task(self, reference: Reference) -> NDArray[np.int64] | None:
        """Measure what the network was trained for, where it sees patches as they are."""
        card = self.model.card
        if card.scale != 1:
            return None
        present = dict(card.training.get("settings", {})).get("present")
        return count_presence(
            self.scene,
            reference,
            self.activations,
            self.spec,
            side=card.tile,
            present=PRESENT if present is None else float(present),
            workers=self.workers,
        )

    def keep(
        self,
        way: Combination,
        path: Path,
        reference: Reference | None,
        *,
        patches: int,
        overwrite: bool,
    ) -> None:
        """Write the model with the regression in it."""
        kept: dict[str, Any] = {
            **way.to_json(),
            "settings": self._how(),
            "fitted_on": {
                "scene": self.scene.name,
                "scene_fingerprint": self._contents,
                "labels_fingerprint": "" if reference is None else reference.contents,
                "patches": patches,
                "seed": self.labels.seed,
            },
        }
        # The file that it was is told by its digest.
        training = {**self.model.card.training, "made_by": made_by(self.tags(reference))}
        card = replace(self.model.card, combination=kept, training=training, hash="")
        save_bundle(ModelBundle(self.model.network, card), path, overwrite=overwrite)

    def tags(self, reference: Reference | None) -> dict[str, str]:
        """Say in the outputs' metadata what made them."""
        card, guides = self.model.card, self.guides
        options = self.maps.words() | self.labels.words()
        inputs = {self.scene.name: self._contents, **self.colour.inputs}
        if reference is not None:
            options |= {
                "reference": Path(reference.path).name,
                "patches": self.labels.patches,
                "seed": self.labels.seed,
                "assume-aligned": guides.assume_aligned,
            }
            inputs[Path(reference.path).name] = reference.contents
        if guides.known is not None and guides.known_name is not None:
            options["known"] = guides.known_name
            inputs[guides.known_name] = guides.known.fingerprint
        if guides.area_name is not None:
            options["region"] = guides.area_name
        command = ["geoseg", "cam", *self.scene.paths, "--model", f"{card.name}.safetensors"]
        command += option_words(options)
        options |= meant_area(self.labels.min_area, self.labels.min_area_given)
        return provenance(command, inputs, model=[{card.name: card.hash}], options=options)


def _blocks(files: CamFiles) -> Iterator[NDArray[np.float32]]:
    height = files.height
    for first in range(0, height, BLOCK_ROWS):
        yield files.read_maps(first, min(first + BLOCK_ROWS, height))


def _limit(moments: MapMoments) -> float:
    """Activation at which the colours of the maps end: three deviations from 0, two digits."""
    reach = float((np.abs(moments.mean) + 3 * moments.std).max())
    return float(f"{reach:.1e}") or 1.0
