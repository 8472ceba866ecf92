"""Many maps and their labels: which files belong together, and what their classes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.assessment.align import name_disagreements, names_many
from geoseg.assessment.text import counted
from geoseg.errors import InputError, LabelError
from geoseg.raster.labels.labelme import annotations_in
from geoseg.raster.legend import Legend
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.opening.heads import RASTER_SUFFIXES, expand, read_head
from geoseg.raster.pairing import file_names, pair_by_stem
from geoseg.raster.scene import Scene
from geoseg.raster.sources import group_files


@dataclass(frozen=True, kw_only=True)
class MapFiles:
    """One place: its maps, and its labels."""

    name: str
    """Name of the first map without ending."""
    maps: tuple[str, ...]
    """A file of each folder of maps."""
    labels: str
    """The labels."""


@dataclass(frozen=True, kw_only=True)
class ManyMaps:
    """Files that were paired."""

    files: tuple[MapFiles, ...]
    """In the order of their names."""
    photographs: bool
    """Whether none has a place on Earth."""
    one_labels: bool
    """Whether all have the same labels: one raster of the ground of all."""
    notes: tuple[str, ...]
    """How they were paired, and files that were left out, in words."""
    uneven: bool = False
    """Whether a folder has maps with labels that another has not; `files` are those of all."""


def are_folders(sources: Sequence[str]) -> bool:
    """Whether sources are folders (or patterns) of many maps, and last of their labels.

    Maps of photographs always are; georeferenced ones if their labels have the same names, or if
    they cannot be put together to one map, as tiles of one export can.

    Raises
    ------
    RasterReadError
        A folder holds no raster, or one that cannot be read; a pattern matches none.
    InputError
        The last one holds annotations, which are to be made masks first.
    """
    *maps, labels = sources
    if not all(map(names_many, maps)):
        return False
    last = Path(labels)
    endings = {path.suffix.lower() for path in last.iterdir()} if last.is_dir() else set()
    if annotations_in(last) and not endings & RASTER_SUFFIXES:
        raise InputError(
            f"{last} holds annotations and no masks: make masks of them first (geoseg rasterise"
            f" {last} --like IMAGES -o masks)"
        )
    listed = [expand([source]) for source in maps]
    if not names_many(labels):
        return not all(map(_is_one_map, listed))
    masks = expand([labels])
    if not any(read_head(files[0]).grid.is_georeferenced for files in (*listed, masks)):
        return True
    if all(map(_is_export, listed)):
        return False
    together = all(map(_is_one_map, (*listed, masks)))
    return bool(pair_by_stem(listed[0], masks).pairs) or not together


def _is_export(files: Sequence[str]) -> bool:
    """Whether files are tiles of one export, or a single map."""
    groups, failed = group_files(files, mosaic=False)
    return len(groups) == 1 and not failed and _is_one_map(files)


def _is_one_map(files: Sequence[str]) -> bool:
    """Whether files can be put together to one raster of classes."""
    try:
        return len(Scene.of_files(files).bands) == 1
    except InputError:
        return False


def pair_maps(sources: Sequence[str]) -> ManyMaps:
    """Pair maps of one folder or several with labels, the last source, by their names.

    Raises
    ------
    InputError
        No map has labels of its name, or maps without a place on Earth have none of their own.
    """
    *folders, labels = sources
    files = [expand([source]) for source in folders]
    photographs = not any(read_head(found[0]).grid.is_georeferenced for found in files)
    if not names_many(labels):
        if photographs:
            raise InputError(
                f"{folders[0]} holds many maps without a place on Earth, and {labels} is one file:"
                " name the folder that holds labels of the same names, or one of the maps"
            )
        masks = [labels]
    else:
        masks = expand([labels])
        photographs = photographs and not read_head(masks[0]).grid.is_georeferenced
    notes: list[str] = []
    found, uneven = _by_labels(folders, files, masks, labels, notes)
    if not found:
        raise InputError(
            f"{labels} holds no mask of the name of a map in {folders[0]}: files belong together by"
            " their names without ending"
        )
    return ManyMaps(
        files=tuple(found),
        photographs=photographs,
        one_labels=masks == [labels],
        notes=tuple(notes),
        uneven=uneven,
    )


def _by_labels(
    folders: Sequence[str],
    files: Sequence[Sequence[str]],
    masks: Sequence[str],
    labels: str,
    notes: list[str],
) -> tuple[list[MapFiles], bool]:
    """Pair files; say whether some maps are not in every folder."""
    partial: list[str] = []
    if masks == [labels]:
        first, *others = files
        of: dict[str, list[str]] = {path: [path] for path in first}
        for more in others:
            paired = pair_by_stem(first, more)
            for mine, theirs in paired.pairs:
                of[mine].append(theirs)
            partial += paired.second_alone
        whole = {m: paths for m, paths in of.items() if len(paths) == len(folders)}
        partial = [*(m for m in first if m not in whole), *partial]
        rows = [(paths, labels) for paths in whole.values()]
    else:
        lacking: dict[str, list[str]] = {}
        by_mask: dict[str, list[str]] = {}
        for folder, found in zip(folders, files, strict=True):
            paired = pair_by_stem(found, masks)
            for mine, mask in paired.pairs:
                by_mask.setdefault(mask, []).append(mine)
            if paired.pairs and paired.note is not None:
                notes.append(paired.note)
            if alone := paired.first_alone:
                what = counted(len(alone), "map")
                are = "is" if len(alone) == 1 else "are"
                notes.append(
                    f"{what} of {folder} without a mask {are} left out: {file_names(alone)}"
                )
            lacking[folder] = list(paired.second_alone)
        for folder, lost in lacking.items():
            if missed := [mask for mask in lost if mask not in by_mask]:
                what = counted(len(missed), "mask")
                are = "is" if len(missed) == 1 else "are"
                notes.append(
                    f"{what} without a map in {folder} {are} left out: {file_names(missed)}"
                )
        rows = [(paths, mask) for mask, paths in by_mask.items() if len(paths) == len(folders)]
        partial = [paths[0] for paths in by_mask.values() if len(paths) < len(folders)]
    found_all = [
        MapFiles(name=Path(paths[0]).stem, maps=tuple(paths), labels=mask) for paths, mask in rows
    ]
    if partial:
        one = len(partial) == 1
        notes.append(
            f"{counted(len(partial), 'map')} {'is' if one else 'are'} not in every folder, so"
            f" {'it is' if one else 'they are'} not compared side by side: {file_names(partial)}"
        )
    return sorted(found_all, key=lambda one: one.name), bool(partial)


def lacks_place(path: str, others: Sequence[str]) -> bool:
    """Whether a map has no coordinate system where others have one: it is not off, but lost."""

    def bare(one: str) -> bool:
        return read_head(one).grid.crs is None

    return bare(path) and not all(map(bare, others))


def common_legend(files: Sequence[MapFiles]) -> tuple[Legend | None, tuple[str, ...]]:
    """Return the classes that all maps name together, else those that the labels name.

    Maps that name some of the classes each are put together; the classes are in the order of ids.

    Returns
    -------
    The classes, None where no file names any; and what there is to say of them.

    Raises
    ------
    LabelError
        Two files of one kind name an id differently.
    """
    of_maps = _united([path for one in files for path in one.maps])
    of_labels = _united(list(dict.fromkeys(one.labels for one in files)))
    if of_maps is None or of_labels is None:
        return of_maps or of_labels, ()
    return of_maps, name_disagreements(of_maps, of_labels, whose=("the maps", "the labels"))


def _united(paths: Sequence[str]) -> Legend | None:
    first: Legend | None = None
    known: dict[int, str] = {}
    united: Legend | None = None
    for path in paths:
        legend = raster_legend(path)
        if legend is None or legend == first:
            continue
        first = first or legend
        for one in legend.classes:
            other = known.setdefault(one.id, path)
            if united is None or one.id not in united.ids:
                continue
            name = united.names[united.index_of(one.id)]
            if name.casefold() != one.name.casefold():
                raise LabelError(
                    f"{path} and {other} name their classes differently (id {one.id} is"
                    f" {one.name!r} and {name!r}): say with --classes what the ids of all mean, if"
                    " they mean the same, or evaluate them apart"
                )
        old = () if united is None else united.classes
        new = [c for c in legend.classes if united is None or c.id not in united.ids]
        try:
            united = Legend((*old, *new))
        except LabelError as error:
            raise LabelError(
                f"{path} names its classes otherwise than {paths[0]}: {error}"
            ) from None
    if united is None or united == first:
        return united
    return Legend(tuple(sorted(united.classes, key=lambda c: c.id)))
