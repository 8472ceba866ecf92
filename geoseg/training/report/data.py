"""What patches were cut from: their number, the colour they were brought to, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.patches.dataset import PatchDataset
from geoseg.report.numbers import count
from geoseg.report.page import Block, Folded, Paragraph, Row, Section, Table

_SHOWN = 5
"""Files left out that are shown at once; more are folded away."""
_LISTED = 200
"""Files left out that a page lists at all."""


def data_section(dataset: PatchDataset) -> Section:
    """Say what a data set is, and what it leaves out of what was asked for."""
    metadata = dataset.metadata
    scenes = len(metadata.get("scenes", ()))
    rows: list[Row] = [
        ("patches", ", ".join(f"{count(n)} {split}" for split, n in dataset.splits.items())),
        ("size", f"{dataset.size} × {dataset.size} px"),
        ("scenes", count(scenes)),
        ("colour", _colour(dataset)),
    ]
    dropped = {reason: int(n) for reason, n in metadata.get("dropped", {}).items() if n}
    if dropped:
        words = ", ".join(f"{count(n)} {reason}" for reason, n in dropped.items())
        rows.append(("patches dropped", words))
    problems: Sequence[Mapping[str, str]] = metadata.get("problems", ())
    files = f"{count(len(problems))} file{'s' if len(problems) > 1 else ''}"
    rows.append(("left out", files if problems else "nothing"))
    return Section(
        "The data",
        (Table(("", ""), tuple(rows), (False, False)), *_left_out(problems)),
    )


def _colour(dataset: PatchDataset) -> str:
    colour: Any = dataset.colour
    if colour is None:
        return "as in the files"
    return f"brought to one: {colour.text} (digest {colour.digest})"


def _left_out(problems: Sequence[Mapping[str, str]]) -> tuple[Block, ...]:
    """List files that the cutting passed over, with the reasons."""
    if not problems:
        return ()
    shown = problems[:_LISTED]
    table = Table(
        ("file", "why it was left out"),
        tuple((one["path"], one["reason"]) for one in shown),
        (False, False),
    )
    blocks: tuple[Block, ...] = (table,)
    if len(problems) > len(shown):
        more = f"And {count(len(problems) - len(shown))} more: dataset.json of the set has all."
        blocks = (table, Paragraph(more))
    if len(problems) <= _SHOWN:
        return blocks
    return (Folded(f"The {count(len(problems))} files left out", blocks),)
