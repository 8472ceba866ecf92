"""One run that makes polygons of a class raster, from where an earlier one was stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.classids import ClassIds, Ground
from geoseg.assessment.dissolving import Sum, gather, write_classes, write_cut
from geoseg.assessment.keptpolygons import VERTICES, Arrays, Done, PolygonRun
from geoseg.assessment.measure import tolerance_on
from geoseg.assessment.polygonsettings import Amount, VectoriseSettings
from geoseg.assessment.zonetable import ZoneAmount, ZoneFile, ZoneTable, measure_zones
from geoseg.errors import LabelError
from geoseg.raster.legend import LegendClass
from geoseg.raster.legend.polygons import CLASS, COLOR, NAME
from geoseg.raster.legend.style import category_qml
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.polygons.files.layer import LayerMark, PolygonFile
from geoseg.raster.polygons.simplify import Simplifier
from geoseg.raster.polygons.stream import Border, trace_polygons
from geoseg.raster.polygons.tracer import Polygons, Tally
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was written."""

    files: tuple[Path, ...]
    features: int
    classes: Mapping[LegendClass, Amount]
    left_out: Amount
    zones: tuple[ZoneAmount, ...]


@dataclass(kw_only=True)
class Making:
    """One run; `make` is called once."""

    source: str
    """The raster as the user named it."""
    scene: Scene
    settings: VectoriseSettings
    ids: ClassIds
    tags: Mapping[str, str]
    """Metadata of the file."""
    run: PolygonRun | None
    """What is kept between runs; None for nothing."""
    workers: int
    progress: Callable[[int], None] | None
    notes: list[str] = field(default_factory=list)
    """What a person should know, in words."""
    taken_over: int = 0
    """Rows that an earlier run had finished."""
    _done: Done = field(default_factory=Done)
    _held: Arrays = field(default_factory=dict)
    """What zones hold."""

    def make(self, target: Path, *, overwrite: bool) -> Made:
        """Make the file; raises what `geoseg.assessment.vectorise.vectorise` says."""
        run, scene, settings, ids = self.run, self.scene, self.settings, self.ids
        self._done = Done() if run is None else run.done
        self.taken_over = self._done.rows
        ground = self._ground
        if self._done.colors:
            ids.take_up(self._done.colors)
        least = ground.least(settings.min_area)
        self.notes += ground.notes
        if target.suffix.lower() in (".geojson", ".json"):
            self.notes.append(
                "GeoJSON is in longitude and latitude (WGS 84): coordinates are reprojected"
            )
        zones, table = None, None
        if settings.zones is not None:
            zones = ZoneFile.read(settings.zones, scene, settings.zone_field)
            table = self._measured(zones)
        self._tell(self._done.traced_rows)
        with ExitStack() as stack:
            file = stack.enter_context(
                PolygonFile(
                    target,
                    scene.grid,
                    overwrite=overwrite,
                    metadata=self.tags,
                    gathered=settings.dissolve,
                    kept=None if run is None else run.folder,
                    again=self._layer_mark(),
                )
            )
            tally = Tally()
            for name, array in _named("tally_", self._done.arrays).items():
                setattr(tally, name, array)
            if not self._done.is_traced:
                self._trace(file, tally, least, zones)
            left_out = _amount(
                ground,
                tally.left_out.sum(),
                tally.left_out_pixels.sum(),
                tally.left_out_areas.sum(),
            )
            if not tally.polygons.any():
                if run is not None:
                    run.remove()
                raise LabelError(_nothing(self.source, settings, left_out))
            features, classes = self._features(file, tally, zones)
            style = category_qml(CLASS, {str(c.id): (c.name, c.color) for c in classes}, alpha=255)
            files = file.publish(style, None if table is None else table.layer)
        return Made(
            files=tuple(files),
            features=features,
            classes=classes,
            left_out=left_out,
            zones=() if table is None else table.zones,
        )

    @cached_property
    def _ground(self) -> Ground:
        return Ground(self.scene.grid)

    def _tell(self, rows: int) -> None:
        if self.progress is not None and rows:
            self.progress(rows * self.scene.grid.width)

    def _layer_mark(self) -> LayerMark | None:
        if self._done.sink is None:
            return None
        return LayerMark(sink=self._done.sink, arrays=_named("layer_", self._done.arrays))

    def _note(self, change: Callable[[Done], Done]) -> None:
        """Note what is finished, if it is time to."""
        if self.run is not None and self.run.due:
            try:
                done = change(replace(self._done, colors=self.ids.found_colors))
            except OSError as error:
                raise output_error(error, self.run.folder.target) from error
            self.run.note(replace(done, rows=done.zone_rows + max(1, done.traced_rows)))

    def _measured(self, zones: ZoneFile) -> ZoneTable:
        """Measure zones, from where that was stopped."""
        before = self._done
        self._tell(before.zone_rows)
        found: list[tuple[int, Callable[[], Arrays]]] = []

        def at_row(row: int, arrays: Callable[[], Arrays]) -> None:
            found[:] = [(row, arrays)]
            if before.sink is None:  # else nothing is new, and more is noted than this
                self._note(
                    lambda done: replace(done, zone_rows=row, arrays=_as("zones_", arrays()))
                )

        again = (before.zone_rows, _named("zones_", before.arrays)) if before.zone_rows else None
        table = measure_zones(
            self.scene,
            self.ids,
            self._ground,
            zones,
            workers=self.workers,
            progress=self.progress,
            again=again,
            at_row=at_row,
        )
        self.notes += table.notes
        row, arrays = found[0]
        self._held = _as("zones_", arrays())
        self._done = replace(self._done, zone_rows=row)
        return table

    def _trace(
        self,
        file: PolygonFile,
        tally: Tally,
        least: tuple[int, int],
        zones: ZoneFile | None,
    ) -> None:
        """Find the polygons, and let the file have them."""
        ground, before, grid = self._ground, self._done, self.scene.grid
        with ExitStack() as stack:
            simplifier = self._simplifier(file)
            if simplifier is not None:
                stack.enter_context(simplifier)

            def at_border(row: int, border: Callable[[], Border]) -> None:
                def change(done: Done) -> Done:
                    mark = file.mark()
                    return replace(
                        done,
                        traced_rows=row,
                        lines=0 if simplifier is None else simplifier.flush(),
                        sink=mark.sink,
                        arrays={
                            **_as("border_", border().arrays),
                            **_as("tally_", vars(tally)),
                            **_as("layer_", mark.arrays),
                            **self._held,
                        },
                    )

                self._note(change)

            again = None
            if before.traced_rows:
                arrays = _named("border_", before.arrays)
                again = Border(row=before.traced_rows, arrays=arrays)
            rows = stack.enter_context(closing(self._rows(before.traced_rows)))
            polygons = trace_polygons(
                rows,
                grid.width,
                areas=ground.rows if ground.known else None,
                least_pixels=least[0],
                least_area=least[1],
                simplifier=simplifier,
                tally=tally,
                workers=self.workers,
                again=again,
                at_border=at_border,
            )
            stack.enter_context(closing(polygons))
            if self.settings.dissolve:
                gather(file, polygons, zones)
            else:
                for some in polygons:
                    file.write(some, _columns(some, self.ids, ground))

    def _simplifier(self, file: PolygonFile) -> Simplifier | None:
        """Make what simplifies borders, or goes on with that; None where nobody asked."""
        if self.settings.simplify is None:
            return None
        grid = self.scene.grid
        tolerance, metric = tolerance_on(grid, self.settings.simplify)
        try:
            return Simplifier(
                grid.height,
                grid.width,
                tolerance=tolerance,
                metric=metric,
                folder=file.folder,
                kept=None if self.run is None else file.folder / VERTICES,
                lines=self._done.lines,
            )
        except OSError as error:
            raise file.error(error) from error

    def _rows(self, first: int) -> Generator[NDArray[np.uint8], None, None]:
        """Read rows (rows, cols) of class ids, from one of them to the last."""
        grid = self.scene.grid
        if first == grid.height:
            return
        window = replace(grid.window, row=first, height=grid.height - first)
        strips = read_strips(
            [self.scene], window=window, workers=self.workers, convert=self.ids.convert
        )
        with closing(strips):
            for strip in strips:
                yield strip.arrays[0]
                if self.progress is not None:
                    self.progress(strip.height * grid.width)

    def _features(
        self, file: PolygonFile, tally: Tally, zones: ZoneFile | None
    ) -> tuple[int, dict[LegendClass, Amount]]:
        """Put features together where polygons were gathered; say how many, and what they hold."""
        ids, ground, before = self.ids, self._ground, self._done
        classes = {
            c: _amount(ground, tally.polygons[c.id], tally.pixels[c.id], tally.areas[c.id])
            for c in ids.classes(np.flatnonzero(tally.polygons).tolist())
        }
        if not self.settings.dissolve:
            return int(tally.polygons.sum()), classes

        def at_feature(number: int, sums: Mapping[int, Sum]) -> None:
            def change(done: Done) -> Done:
                mark = file.mark()
                return replace(
                    done,
                    traced_rows=self.scene.grid.height,
                    is_traced=True,
                    features=number,
                    sums={str(one): asdict(found) for one, found in sums.items()},
                    sink=mark.sink,
                    arrays={
                        **_as("tally_", vars(tally)),
                        **_as("layer_", mark.arrays),
                        **self._held,
                    },
                )

            self._note(change)

        if zones is None:
            features = write_classes(
                file, ids, ground, tally, done=before.features, at_feature=at_feature
            )
            return features, classes
        features, cut = write_cut(
            file,
            ids,
            ground,
            zones,
            self.scene.grid,
            done=before.features,
            sums={int(one): Sum(**found) for one, found in before.sums.items()},
            at_feature=at_feature,
        )
        classes = {
            c: Amount(
                polygons=cut[c.id].polygons,
                pixels=round(cut[c.id].pixels),
                hectares=cut[c.id].hectares,
            )
            for c in classes
            if c.id in cut
        }
        self.notes.append("polygons are cut at the borders of zones; what lies in none is left out")
        return features, classes


def _as(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def _named(prefix: str, arrays: Arrays) -> Arrays:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _amount(ground: Ground, polygons: int, pixels: int, area: float) -> Amount:
    return Amount(polygons=int(polygons), pixels=int(pixels), hectares=ground.hectares_of(area))


def _columns(some: Polygons, ids: ClassIds, ground: Ground) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        CLASS: some.values.astype(np.int32),
        NAME: ids.names[some.values],
        COLOR: ids.colors(some.values),
        "pixels": some.pixels,
    }
    if ground.known:
        columns["area_ha"] = np.round(ground.hectares(some.areas), 6)
    return columns


def _nothing(source: str | Path, settings: VectoriseSettings, left_out: Amount) -> str:
    if left_out.polygons:
        return (
            f"all {left_out.polygons:,} polygons of {source} are smaller than"
            f" {settings.min_area}: give a smaller --min-area"
        )
    which = " of the classes that are wanted" if settings.classes else ""
    return f"{source} has no pixel{which or ' with a class'}: there is nothing to write"
