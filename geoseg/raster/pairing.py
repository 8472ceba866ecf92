"""Files that belong together by their names: a picture and its mask, its annotation or its map."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import InputError

_ENDING = re.compile(r"(.+)([_-][^\W\d_][^\W_]*)")
"""A name and the last word of it: "119" and "_sat". Numbers tell files apart and are no words."""
_MOST_WORDS = 3


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Files of two lists, by their names without ending."""

    pairs: tuple[tuple[str, str], ...]
    """Those that belong together, in the order of the first list."""
    first_alone: tuple[str, ...]
    """Files of the first list that have no partner."""
    second_alone: tuple[str, ...]
    """Files of the second list that have no partner."""
    left_off: tuple[str, str] | None = None
    """What the names of each list end in and was left off to pair them ("_sat", "_mask"); None
    where names are the same as they are."""

    @property
    def note(self) -> str | None:
        """What is to be said of how they were paired; None where names are the same."""
        if self.left_off is None:
            return None
        endings = " and ".join(ending for ending in self.left_off if ending)
        return f"paired by their names without {endings}"


def pair_by_stem(first: Sequence[str], second: Sequence[str]) -> Paired:
    """Pair files by their names without ending.

    Where no name of one list is in the other, what all names of a list end in is left off:
    "119_sat" and "119_mask" are a pair if all of the first list end in "_sat" and all of the second
    in "_mask". An ending is one word or several, behind "_" or "-"; one of the lists may have none.

    Raises
    ------
    InputError
        Two files of one list have the name of one of the other, so nobody knows which is meant.
    """
    exact = _pair(first, second, ("", ""))
    if exact.pairs:
        return exact
    for endings in _endings(first, second):
        found = _pair(first, second, endings)
        if found.pairs:
            return found
    return exact


def _endings(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what may be left off each list, the least first."""
    ones, others = _common_endings(first), _common_endings(second)
    tries = [(i, j) for i in range(len(ones)) for j in range(len(others)) if i + j]
    for i, j in sorted(tries, key=lambda place: (sum(place), abs(place[0] - place[1]))):
        if ones[i] != others[j]:
            yield ones[i], others[j]


def _common_endings(paths: Sequence[str]) -> list[str]:
    """Find what all names end in: nothing, the last word, the last two."""
    endings = [""]
    stems = [Path(path).stem for path in paths]
    while stems and len(endings) <= _MOST_WORDS:
        cut = [_ENDING.fullmatch(stem) for stem in stems]
        words = {None if found is None else found[2] for found in cut}
        if len(words) > 1 or None in words:
            break
        endings.append(f"{words.pop()}{endings[-1]}")
        stems = [found[1] for found in cut if found is not None]
    return endings


def _pair(first: Sequence[str], second: Sequence[str], endings: tuple[str, str]) -> Paired:
    """Pair files by their names without these endings."""
    by_stem: dict[str, list[str]] = {}
    for path in second:
        by_stem.setdefault(Path(path).stem.removesuffix(endings[1]), []).append(path)
    taken: dict[str, str] = {}
    pairs, alone = [], []
    for path in first:
        stem = Path(path).stem.removesuffix(endings[0])
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
    return Paired(
        pairs=tuple(pairs),
        first_alone=tuple(alone),
        second_alone=tuple(left),
        left_off=endings if any(endings) else None,
    )


def file_names(paths: Sequence[str], *, most: int = 5) -> str:
    """Name files without their folders, for a sentence; not all if there are many."""
    return ", ".join(Path(path).name for path in paths[:most]) + (
        ", …" if len(paths) > most else ""
    )
