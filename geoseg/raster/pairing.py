"""Files that belong together by their names: a picture and its mask, its annotation or its map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Files of two lists, by their names without ending."""

    pairs: tuple[tuple[str, str], ...]
    """Those that belong together, in the order of the first list."""
    first_alone: tuple[str, ...]
    """Files of the first list that have no partner."""
    second_alone: tuple[str, ...]
    """Files of the second list that have no partner."""


def pair_by_stem(first: Sequence[str], second: Sequence[str]) -> Paired:
    """Pair files by their names without ending.

    Raises
    ------
    InputError
        Two files of one list have the name of one of the other, so nobody knows which is meant.
    """
    by_stem: dict[str, list[str]] = {}
    for path in second:
        by_stem.setdefault(Path(path).stem, []).append(path)
    taken: dict[str, str] = {}
    pairs, alone = [], []
    for path in first:
        stem = Path(path).stem
        found = by_stem.get(stem, [])
        if not found:
            alone.append(path)
            continue
        for others in ([taken[stem], path] if stem in taken else [], found):
            if len(others) > 1:
                raise InputError(
                    f"{others[0]} and {Path(others[1]).name} have the same name but for the ending,"
                    " so it is not known what belongs to which; take one away"
                )
        taken[stem] = path
        pairs.append((path, found[0]))
    left = (path for stem, paths in by_stem.items() if stem not in taken for path in paths)
    return Paired(pairs=tuple(pairs), first_alone=tuple(alone), second_alone=tuple(left))


def file_names(paths: Sequence[str], *, most: int = 5) -> str:
    """Name files without their folders, for a sentence; not all if there are many."""
    return ", ".join(Path(path).name for path in paths[:most]) + (
        ", …" if len(paths) > most else ""
    )
