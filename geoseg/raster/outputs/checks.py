"""Whether outputs can be written where they shall go: asked early, before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from geoseg.errors import OptionError, OutputError
from geoseg.raster.outputs.names import check_name
from geoseg.raster.outputs.trouble import output_error

_RASTERS = (".tif", ".tiff")


def check_output(
    path: str | Path, *, overwrite: bool, suffixes: Sequence[str] | None = None
) -> Path:
    """Tell early whether a file can be written; commands ask this before they work.

    Parameters
    ----------
    path
        The file to be.
    overwrite
        Whether it may replace one that is there.
    suffixes
        Endings that it may have, lower case with the dot; None for any.

    Raises
    ------
    OptionError
        Its name ends otherwise: such a command is typed wrong wherever it runs.
    OutputError
        The folder is missing or not writable, the path is a folder, or there is a file and
        `overwrite` is False.
    """
    text = os.fspath(path)
    if text.startswith("/vsi") or "://" in text:
        raise OutputError(
            f"{text}: outputs are written to files, or by commands to s3://, gs:// or az://"
        )
    target = Path(text)
    if not target.name or text.endswith(("/", os.sep)):
        raise OutputError(f"{text or '(nothing)'} names no file to write")
    check_name(target)
    if suffixes is not None and target.suffix.lower() not in suffixes:
        raise OptionError(f"{target}: name the output {' or '.join('*' + s for s in suffixes)}")
    folder = target.parent
    try:
        if target.is_dir():
            raise OutputError(f"{target} is a folder; name a file in it")
        if not folder.is_dir():
            what = "is no folder" if folder.exists() else "does not exist; make it first"
            raise OutputError(f"{target}: the folder {folder} {what}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{target}: the folder {folder} cannot be written to")
        if os.path.lexists(target) and not overwrite:
            raise OutputError(f"{target} is there already; replace it with --overwrite")
    except OSError as error:
        raise output_error(error, target) from error
    return target


def check_outputs(
    paths: Sequence[Path], *, overwrite: bool, suffixes: Sequence[str] | None = None
) -> None:
    """Tell early whether several files can be written by one run; see `check_output`.

    Raises
    ------
    OptionError
        Two of them are one file, or the style beside one (``NAME.qml``) is another or its style;
        or a name ends otherwise.
    OutputError
        One cannot be written.
    """
    taken = [path.resolve() for path in paths]
    taken += [path.with_suffix(".qml") for path in taken if path.suffix.lower() in _RASTERS]
    if len(set(taken)) < len(taken):
        raise OptionError(
            "two outputs have the same path, or styles (NAME.qml) of the same; give each a name of"
            " its own"
        )
    for path in paths:
        check_output(path, overwrite=overwrite, suffixes=suffixes)


def check_folder_place(target: Path) -> None:
    """Refuse a name that no folder can have; what a folder that is there holds is not looked at.

    Raises
    ------
    OutputError
        It names nothing, its own folder is missing or cannot be written to, or a file is there.
    """
    parent = target.absolute().parent
    if not target.name:
        raise OutputError(f"{target} names no folder to make")
    check_name(target)
    if not parent.is_dir():
        raise OutputError(f"{target}: the folder {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: the folder {parent} cannot be written to")
    if os.path.lexists(target) and (not target.is_dir() or target.is_symlink()):
        raise OutputError(f"{target} is there and is no folder; choose another name")


def check_output_folder(
    path: str | Path, *, overwrite: bool, holds: Callable[[Path], bool], what: str
) -> Path:
    """Tell early whether a folder can be made; as `check_output`.

    Parameters
    ----------
    path
        The folder to be.
    overwrite
        Whether it may replace one that is there.
    holds
        Told a folder that is there: whether it holds such outputs and may be replaced at all.
    what
        What such a folder holds, for errors.

    Raises
    ------
    OutputError
        It cannot be made, is there and `overwrite` is False, or holds something else.
    """
    target = Path(path)
    check_folder_place(target)
    if os.path.lexists(target):
        if not any(target.iterdir()):
            return target
        if not overwrite:
            raise OutputError(f"{target} is there already; replace it with --overwrite")
        if not holds(target):
            raise OutputError(
                f"{target} holds something else than {what}, so it is not replaced; choose another"
                " name"
            )
    return target


def refuse_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Refuse to write over what is being read.

    Raises
    ------
    OutputError
        An output is the same file as an input, by whatever path or link.
    """
    read = [path for path in map(Path, inputs) if path.exists()]
    for output in map(Path, outputs):
        if output.exists() and any(output.samefile(path) for path in read):
            raise OutputError(f"{output} is an input of this very run; name another output")


def refuse_holding(folder: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse to make anew a folder out of which files are read.

    Raises
    ------
    OutputError
        An input lies in it, by whatever path or link.
    """
    inside = Path(folder).resolve()
    for path in inputs:
        if inside in Path(path).resolve().parents:
            raise OutputError(f"{folder} holds {path}, which is read: choose another folder")


def refuse_inside(outputs: Iterable[str | Path], folder: str | Path) -> None:
    """Refuse to write into a folder that is being read.

    Raises
    ------
    OutputError
        An output lies in it, by whatever path or link.
    """
    read = Path(folder).resolve()
    for output in map(Path, outputs):
        if read in output.resolve().parents:
            raise OutputError(
                f"{output} lies in {folder}, which is read in this very run; choose another folder"
            )
