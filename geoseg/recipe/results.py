"""The paper's numbers beside ours."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.recipe.form import Expected, Places

_PART = re.compile(r"([^.\[\]]+)|\[([^\[\]=]+)=([^\[\]]*)\]|\[(-?\d+)\]")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One expected number and ours."""

    expected: Expected
    """What was expected."""
    ours: float | None
    """Our number; None where there is none."""
    problem: str = ""
    """Why there is none."""

    @property
    def difference(self) -> float | None:
        """Ours less theirs."""
        if self.ours is None or self.expected.published is None:
            return None
        return self.ours - self.expected.published


def compare(expected: Sequence[Expected], places: Places) -> tuple[Line, ...]:
    """Look our numbers up; one that is not there is no error, but its line says so."""
    lines = []
    for one in expected:
        path = Path(places.fill(one.file))
        try:
            found = find(json.loads(path.read_text(encoding="utf-8")), one.key)
        except OSError:
            lines.append(Line(expected=one, ours=None, problem=f"{path.name} is not there"))
            continue
        except ValueError:
            lines.append(Line(expected=one, ours=None, problem=f"{path.name} is no JSON"))
            continue
        except LookupError as error:
            problem = f"{path.name} has no {one.key} ({error.args[0]})"
            lines.append(Line(expected=one, ours=None, problem=problem))
            continue
        if isinstance(found, bool) or not isinstance(found, int | float | None):
            problem = f"{one.key} of {path.name} is no number"
            lines.append(Line(expected=one, ours=None, problem=problem))
        elif found is None or not math.isfinite(found):
            problem = f"{one.key} of {path.name} is not defined"
            lines.append(Line(expected=one, ours=None, problem=problem))
        else:
            lines.append(Line(expected=one, ours=float(found)))
    return tuple(lines)


def find(content: Any, key: str) -> Any:
    """Follow a key into JSON: ``scores.mean_iou``, ``classes[name=forest].iou``, ``list[0]``.

    Raises
    ------
    LookupError
        There is no such place; its first argument says from where on.
    """
    place = 0
    while place < len(key):
        if key[place] == "." and place:
            place += 1
        match = _PART.match(key, place)
        if match is None:
            raise LookupError(f"'{key[place:]}' cannot be read")
        name, field, wanted, number = match.groups()
        try:
            if name is not None:
                content = content[name]
            elif number is not None:
                content = content[int(number)]
            else:
                content = next(one for one in content if str(one.get(field)) == wanted)
        except (KeyError, IndexError, TypeError, AttributeError, StopIteration):
            raise LookupError(f"no {match[0]}") from None
        place = match.end()
    return content
