"""Rasters of errors of many maps: a folder of them, which appears whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from geoseg.assessment.errormap import BAND, ErrorMap
from geoseg.assessment.evaluate import Comparison
from geoseg.assessment.evaluation import Evaluation
from geoseg.errors import InputError, OptionError, OutputError
from geoseg.raster.opening.heads import read_head
from geoseg.raster.outputs.checks import check_output_folder
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error

_ENDINGS = (".tif", ".tif.aux.xml", ".qml")


def check_errors(path: Path, *, overwrite: bool) -> None:
    """Tell early whether a folder of rasters of errors can be made.

    Raises
    ------
    OptionError
        The name is that of a file.
    OutputError
        It cannot be made, or is there and holds something else, or `overwrite` is False.
    """
    if path.suffix:
        raise OptionError(
            f"--errors of many maps is a folder, one raster a map: name it without {path.suffix}"
        )
    check_output_folder(path, overwrite=overwrite, holds=_holds_errors, what="rasters of errors")


def _holds_errors(folder: Path) -> bool:
    """Whether a folder holds rasters of errors and what goes with them alone."""
    names = sorted(path.name for path in folder.iterdir())
    if not all(name.endswith(_ENDINGS) for name in names):
        return False
    try:
        heads = [read_head(str(folder / name)) for name in names if name.endswith(".tif")]
    except InputError:
        return False
    return bool(heads) and all(head.bands[0].description == BAND for head in heads)


class ErrorFolder:
    """Makes a raster of errors for each map, with one legend; a context manager.

    Parameters
    ----------
    path
        The folder to be, as `check_errors` allowed it.
    total
        Evaluation of all maps; decides which errors have an id of their own.
    settings
        What was asked for, for the metadata.
    overwrite
        Whether a folder that is there is replaced.
    """

    def __init__(
        self, path: Path, total: Evaluation, *, settings: Mapping[str, Any], overwrite: bool
    ) -> None:
        self._total, self._settings, self._overwrite = total, settings, overwrite
        self._target = path
        self._hidden = TemporaryFolder(path)
        self._folder = self._hidden.path / "errors"

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir()
        except OSError as error:
            self._hidden.remove()
            raise output_error(error, self._target) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hidden.remove()

    def raster(self, name: str, comparison: Comparison, evaluation: Evaluation) -> ErrorMap:
        """Begin the raster of one map, which takes its rows; a context manager."""
        return ErrorMap(
            self._folder / f"{name}.tif",
            comparison,
            replace(evaluation, confusion=self._total.confusion),
            options=self._settings,
        )

    def publish(self) -> None:
        """Give the folder its name; OutputError where one appeared meanwhile."""
        there = self._target.exists() and any(self._target.iterdir())
        if there and not self._overwrite:
            raise OutputError(
                f"{self._target} appeared while it was being made; it was left as it is"
            )
        try:
            self._hidden.publish_folder(self._folder)
        except OSError as error:
            raise output_error(error, self._target) from error
