"""Coverage of photographs: a line for each map, previews, and points where they were taken.

Pixels of a photograph have no area on the ground: coverage is a share of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.assessment.coverage.previews import drawn_preview
from geoseg.assessment.coverage.result import tags_of
from geoseg.assessment.coverage.share import coverage_of_counts
from geoseg.assessment.coverage.source import Source, open_source
from geoseg.assessment.coverage.table import csv_of, free_name, style_of
from geoseg.assessment.stages import StageTable
from geoseg.errors import InputError, LabelError, OptionError, OutputError, RasterReadError
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.maker import beside_table
from geoseg.raster.opening.heads import expand, read_head, refuse_missing
from geoseg.raster.outputs.checks import check_output, check_output_folder, refuse_inputs
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.outputs.whole import write_whole
from geoseg.raster.pairing import file_names, pair_by_stem
from geoseg.raster.photographs import has_bad_place, place_of
from geoseg.raster.provenance import made_geopackage


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """Coverage of one photograph."""

    name: str
    """Of the photograph; of its map where there are no photographs."""
    coverage: float
    """Percent; NaN where nothing counts."""
    stage: str | None
    """Its stage, if there are stages."""
    target_px: int
    """Pixels of the target."""
    counted_px: int
    """Pixels of all classes but the excluded."""
    nodata_px: int
    """Pixels without a class."""
    classes: Mapping[str, int]
    """Pixels by class."""
    place: tuple[float, float] | None
    """Longitude and latitude where it was taken, if it says."""


@dataclass(frozen=True, kw_only=True)
class PhotographCoverage:
    """What was found and written."""

    outputs: tuple[Path, ...]
    """The table; the points, if any photograph has a place; the folder of previews, if wanted."""
    target: tuple[str, ...]
    """Names of the classes measured."""
    excluded: tuple[str, ...]
    """Names of the classes that count for nothing."""
    photographs: tuple[Photograph, ...]
    """In the order of the maps."""
    coverage: float
    """Of all pixels of all photographs together, in percent."""
    stages: Mapping[str, int]
    """Photographs by stage; empty without stages."""
    notes: tuple[str, ...]
    """What a user should know, a sentence each without its full stop."""


def points_path(output: str | Path) -> Path:
    """Where the points go that belong to a table."""
    return Path(output).with_suffix(".gpkg")


def coverage_of_photographs(
    maps: str | Path,
    output: str | Path,
    *,
    target: Sequence[str],
    excluded: Sequence[str] = (),
    classes: Legend | str | Path | None = None,
    stages: StageTable | None = None,
    images: str | Path | None = None,
    previews: str | Path | None = None,
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> PhotographCoverage:
    """Measure coverage of each map of a folder.

    Parameters
    ----------
    maps
        Folder (or pattern, or file) of class rasters, a scene each.
    output
        Table, ``.csv``: a line a photograph.
    target, excluded, classes
        As for `geoseg.assessment.coverage.source.open_source`.
    stages
        Adds each photograph's stage.
    images
        The photographs, of the names of their maps but for the ending. Those that know where they
        were taken go into ``OUTPUT.gpkg``, as points in WGS 84.
    previews
        Folder to make of annotated photographs, ``NAME.jpg``; needs `images`.
    workers
        Threads that read.
    progress
        Called with the number of maps done since the last call.

    Raises
    ------
    RasterReadError
        A map or a photograph cannot be read.
    LabelError
        Maps name other classes than the first, or none; or a class is none of theirs.
    OptionError
        Previews without photographs; no target.
    InputError
        A photograph is not of the size of its map, or no map has one.
    OutputError
        An output cannot be written.
    """
    table = check_output(output, overwrite=overwrite, suffixes=(".csv",))
    points = points_path(table)
    if previews is not None and images is None:
        raise OptionError("--previews are drawn on the photographs: name their folder by --images")
    paths = expand([maps])
    refuse_missing(paths)
    partners, notes = _partners(paths, images)
    if images is not None:
        _check_points(points, overwrite=overwrite)
    refuse_inputs([table, points], [*paths, *partners.values()])
    sources = _open(paths, target, excluded, classes)
    for path, source in zip(paths, sources, strict=True):
        if path in partners:
            _check_size(source, partners[path])
    with ExitStack() as stack:
        hidden = None
        if previews is not None:
            hidden = stack.enter_context(_folder_of_previews(previews, overwrite=overwrite))
            _keep(hidden, "previews", None)
        tags = _tags(str(maps), sources, stages, None if images is None else str(images))
        found, strays = [], 0
        for path, source in zip(paths, sources, strict=True):
            picture = partners.get(path)
            one = _measure(source, stages, picture, workers)
            strays += source.strays.pixels
            if hidden is not None and picture is not None:
                said = _tags(str(maps), [source], stages, str(images))
                name = f"previews/{Path(path).stem}.jpg"
                title = _title(source, one)
                _keep(
                    hidden, name, drawn_preview(source, picture, said, title=title, workers=workers)
                )
            found.append(one)
            if progress is not None:
                progress(1)
        # Points of an earlier run would be taken for those of this one.
        stale = [points] if images is not None else []
        if hidden is None:
            outputs = _write(table, points, found, stages, tags, stale, overwrite)
        else:
            with _put_in_place(hidden, hidden.path / "previews"):
                outputs = _write(table, points, found, stages, tags, stale, overwrite)
            outputs.append(hidden.target)
    notes += _remarks(strays, partners.values())
    whole = sum(one.counted_px for one in found)
    first = sources[0]
    return PhotographCoverage(
        outputs=tuple(outputs),
        target=first.names(first.target),
        excluded=first.names(first.excluded),
        photographs=tuple(found),
        coverage=100 * sum(one.target_px for one in found) / whole if whole else float("nan"),
        stages={}
        if stages is None
        else {name: sum(one.stage == name for one in found) for name in stages.names},
        notes=tuple(notes),
    )


def _remarks(strays: int, pictures: Iterable[str]) -> list[str]:
    """Say what was odd in maps and photographs, a sentence each without its full stop.

    Parameters
    ----------
    strays
        Pixels of values that are no class.
    pictures
        The photographs.
    """
    notes = []
    if strays:
        notes.append(f"{strays:,} px hold values that are no class and count as without data")
    if lost := [path for path in pictures if has_bad_place(path)]:
        says = "photograph says in its" if len(lost) == 1 else "photographs say in their"
        notes.append(
            f"{len(lost):,} {says} EXIF a place that is none, and no point is made of that:"
            f" {file_names(lost)}"
        )
    return notes


def _folder_of_previews(previews: str | Path, *, overwrite: bool) -> TemporaryFolder:
    """Return where previews wait to appear."""
    # Imported here: it brings Pillow.
    from geoseg.report.photographs import is_folder_of_previews  # noqa: PLC0415

    folder = check_output_folder(
        previews, overwrite=overwrite, holds=is_folder_of_previews, what="previews"
    )
    return TemporaryFolder(folder)


def _keep(hidden: TemporaryFolder, name: str, content: bytes | None) -> None:
    """Put a file where it waits to appear, or make a folder for such files."""
    place = hidden.path / name
    try:
        if content is None:
            place.mkdir()
        else:
            place.write_bytes(content)
    except OSError as error:
        raise output_error(error, hidden.target) from error


def _check_points(points: Path, *, overwrite: bool) -> None:
    """Refuse to replace points that no run of this made: nobody has named that file."""
    check_output(points, overwrite=overwrite)
    if points.exists() and not made_geopackage(points):
        raise OutputError(
            f"{points}, where points of the photographs would go, is there and not of geoseg: name"
            " another output, or move it"
        )


@contextmanager
def _put_in_place(hidden: TemporaryFolder, made: Path) -> Iterator[None]:
    """Give a finished folder its name, and take that back if what is done then fails."""
    target, old = hidden.target, hidden.path / "before"
    try:
        if target.exists():
            target.rename(old)
        try:
            made.rename(target)
            yield
        except BaseException:
            if not made.exists():
                target.rename(made)
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise output_error(error, target) from error


def _partners(paths: Sequence[str], images: str | Path | None) -> tuple[dict[str, str], list[str]]:
    """Photograph of each map, and what is to be said."""
    if images is None:
        return {}, []
    found = pair_by_stem(paths, expand([images]))
    if not found.pairs:
        raise InputError(f"{images}: holds no photograph of the name of {Path(paths[0]).name}")
    notes = [] if found.note is None else [f"photographs are {found.note}"]
    for alone, what in (
        (found.first_alone, "maps have no photograph of their name"),
        (found.second_alone, "photographs have no map of their name"),
    ):
        if alone:
            notes.append(f"{len(alone):,} {what}: {file_names(alone)}")
    return dict(found.pairs), notes


def _open(
    paths: Sequence[str],
    target: Sequence[str],
    excluded: Sequence[str],
    classes: Legend | str | Path | None,
) -> list[Source]:
    """Open all maps; they tell the same classes apart."""
    sources: list[Source] = []
    for path in paths:
        source = open_source(path, target=target, excluded=excluded, classes=classes)
        source.scene.close()
        if source.legend is None:
            raise LabelError(f"{path}: names no classes; say with --classes what its values mean")
        first = sources[0].legend if sources else source.legend
        if first is not None and (source.legend.ids, source.legend.names) != (
            first.ids, first.names
        ):  # fmt: skip
            raise LabelError(f"{path}: has other classes than {paths[0]}; measure them apart")
        sources.append(source)
    return sources


def _check_size(source: Source, picture: str) -> None:
    """Refuse a photograph of another size than its map."""
    try:
        shown = read_head(picture).grid
    except InputError as error:
        raise RasterReadError(str(error)) from error
    grid = source.scene.grid
    if (shown.height, shown.width) != (grid.height, grid.width):
        raise InputError(
            f"{picture}: has {shown.width} × {shown.height} px and its map"
            f" {grid.width} × {grid.height}: they do not belong together"
        )


def _measure(
    source: Source, stages: StageTable | None, picture: str | None, workers: int
) -> Photograph:
    """Count the pixels of one map."""
    legend = source.legend
    names = () if legend is None else legend.names
    counts = np.zeros(256, np.int64)
    with source.scene:
        for strip in source.strips(source.scene.grid.window, workers):
            counts += np.bincount(strip.arrays[0].ravel(), minlength=256)
    shares = coverage_of_counts(counts[: len(names)], source.target, source.excluded)
    return Photograph(
        name=Path(picture or source.name).name,
        coverage=float(shares.percent),
        stage=None if stages is None else str(stages.of(shares.part, shares.whole)),
        target_px=int(shares.part),
        counted_px=int(shares.whole),
        nodata_px=int(counts[NODATA]),
        classes=dict(zip(names, counts[: len(names)].tolist(), strict=True)),
        place=None if picture is None else place_of(picture),
    )


def _write(
    table: Path,
    points: Path,
    found: Sequence[Photograph],
    stages: StageTable | None,
    tags: Mapping[str, str],
    stale: Sequence[Path],
    overwrite: bool,
) -> list[Path]:
    """Write the table, and the points of photographs that have a place."""
    columns: dict[str, Any] = {
        "photograph": [one.name for one in found],
        "coverage": np.array([one.coverage for one in found]),
    }
    if stages is not None:
        columns["stage"] = [str(one.stage) for one in found]
    for key in ("target_px", "counted_px", "nodata_px"):
        columns[key] = np.array([getattr(one, key) for one in found], np.int64)
    for name in found[0].classes:
        pixels = np.array([one.classes[name] for one in found], np.int64)
        columns[free_name(f"{name}_px", columns)] = pixels
    text = csv_of(columns)
    placed = [i for i, one in enumerate(found) if one.place is not None]
    if not placed:
        write_whole(table, text, overwrite=overwrite, beside=beside_table(table, tags), stale=stale)
        return [table]
    # Imported here: it takes a second, and few photographs know where they were taken.
    from geoseg.raster.vector import points_at, wgs84, write_footprints  # noqa: PLC0415

    write_footprints(
        points,
        "photographs",
        {key: [values[i] for i in placed] for key, values in columns.items()},
        points_at([one.place for one in found if one.place is not None]),
        wgs84(),
        style_qml=style_of(stages, "marker"),
        overwrite=overwrite,
        metadata=tags,
        beside={table: text, **beside_table(table, tags)},
    )
    return [table, points]


def _tags(
    maps: str, sources: Sequence[Source], stages: StageTable | None, images: str | None
) -> dict[str, str]:
    """Provenance of what comes of these maps."""
    digests = {source.name: source.scene.fingerprint() for source in sources}
    options = {} if images is None else {"images": images}
    return tags_of(sources[0], options, stages, digests, name=maps)


def _title(source: Source, one: Photograph) -> str:
    """Return what stands above a preview."""
    share = "no coverage" if one.counted_px == 0 else f"{one.coverage:.1f} %"
    stage = "" if one.stage is None else f", stage {one.stage}"
    return f"{one.name}: {' + '.join(source.names(source.target))} {share}{stage}"
