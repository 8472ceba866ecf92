"""What of a recoding is known before pixels are read: settings, rasters, codes, classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import BandError, InputError, OptionError, RasterReadError
from geoseg.raster.grouping import Problem
from geoseg.raster.labels.codelook import codes_for, names_of, open_classes
from geoseg.raster.labels.codes import Codes, codes_file, legend_of_codes, parse_codes
from geoseg.raster.legend import Legend
from geoseg.raster.legend.style import is_folder_of_maps
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.opening.heads import RASTER_SUFFIXES, FileHead, expand, read_head
from geoseg.raster.outputs.checks import (
    check_output,
    check_output_folder,
    refuse_holding,
    refuse_inputs,
)

_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class RecodeSettings:
    """What becomes what."""

    codes: str | None = None
    """"1=1,5=2,*=0" or "#00ffff=1,#000000=nodata"; see `geoseg.raster.labels.codes`."""
    classes: str | None = None
    """As for `parse_legend`. Alone, its colours or values say what becomes what."""
    threshold: int | None = None
    """Channels of colours are off below this and on from it; None for exact colours."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 1 <= self.threshold <= 255:
            raise OptionError(f"--threshold {self.threshold} is none: give a number from 1 to 255")
        if self.classes is not None and codes_file(self.codes):
            raise OptionError(f"--codes {self.codes} lists classes, as --classes does: give one")

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        words: dict[str, Any] = {}
        for name in ("codes", "classes"):
            value = getattr(self, name)
            if value is not None:
                words[name] = value if "=" in value else Path(value).name
        return words | ({} if self.threshold is None else {"threshold": self.threshold})


@dataclass(frozen=True, kw_only=True)
class RecodePlan:
    """What will be done; `recode` does it."""

    rasters: tuple[FileHead, ...]
    """Those that can be opened, in the order named."""
    output: Path
    """The class raster, or the folder of them."""
    folder: bool
    """Whether the output is a folder of rasters."""
    settings: RecodeSettings
    """What was asked for."""
    codes: Codes
    """What was written as codes."""
    given: Legend | None
    """Classes, if a person gave them."""
    legend: Legend
    """Classes of what is made."""
    problems: tuple[Problem, ...]
    """Rasters that cannot be opened."""
    overwrite: bool
    """Whether what is there may be replaced."""

    @property
    def pixels(self) -> int:
        """Pixels to read."""
        return sum(head.grid.window.area for head in self.rasters)


def plan_recode(
    rasters: Sequence[str | Path],
    output: str | Path,
    *,
    settings: RecodeSettings,
    overwrite: bool = False,
) -> RecodePlan:
    """Open rasters, and find out what becomes what.

    Parameters
    ----------
    rasters, output, settings, overwrite
        As for `recode_files`, which says what can go wrong, too.
    """
    text = None if codes_file(settings.codes) else settings.codes
    listed = settings.classes or (None if text else settings.codes)
    given = None if listed is None else parse_legend(listed)
    codes = parse_codes(text, given)
    paths = expand(rasters)
    folder = Path(output).suffix.lower() not in _SUFFIXES
    if folder:
        if Path(output).suffix.lower() in RASTER_SUFFIXES:
            raise OptionError(f"{output}: class rasters are *.tif; name one so, or name a folder")
        target = check_output_folder(
            output, overwrite=overwrite, holds=is_folder_of_maps, what="class rasters"
        )
        refuse_holding(target, [path for path in paths if is_local_file(path)])
    else:
        target = check_output(output, overwrite=overwrite, suffixes=_SUFFIXES)
        refuse_inputs([target], paths)
        if len(paths) > 1:
            raise OptionError(
                f"{target} is one file, and there are {len(paths)} rasters: name a folder with -o"
            )
    heads, problems = _heads(paths)
    legend = _legend(heads, codes, given, settings.threshold)
    return RecodePlan(
        rasters=tuple(heads),
        output=target,
        folder=folder,
        settings=settings,
        codes=codes,
        given=given,
        legend=legend,
        problems=tuple(problems),
        overwrite=overwrite,
    )


def _heads(paths: Sequence[str]) -> tuple[list[FileHead], list[Problem]]:
    """Open files; those that cannot be are listed."""
    heads: list[FileHead] = []
    problems: list[Problem] = []
    stems: dict[str, str] = {}
    for path in paths:
        try:
            heads.append(read_head(path))
        except InputError as error:
            problems.append(Problem(path, str(error)))
            continue
        other = stems.setdefault(Path(path).stem, path)
        if other != path:
            raise InputError(f"{other} and {path} have the same name, and so would what they give")
    if not heads:
        raise RasterReadError(problems[0].reason)
    return heads, problems


def _legend(
    heads: Sequence[FileHead], codes: Codes, given: Legend | None, threshold: int | None
) -> Legend:
    """Classes of what is made, by the first raster that holds values or colours."""
    wrong: BandError | None = None
    for head in heads:
        try:
            found, by_colour = codes_for(codes, given, head, threshold)
            if len(heads) > 1:
                open_classes(head, found, by_colour).close()
        except BandError as error:
            wrong = wrong or error
            continue
        return legend_of_codes(found, given, names_of(head))
    raise wrong or BandError("no raster holds values or colours")
