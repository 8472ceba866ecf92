"""A model's card as a page of Markdown, for people. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.models.card import ModelCard
from geoseg.raster.legend.palette import hex_of

_SCORES = (("iou", "IoU"), ("f1", "F1"), ("precision", "precision"), ("recall", "accuracy"))
_MOST_LISTED = 12


def card_page(card: ModelCard, *, file: str, size: int, parameters: int) -> str:
    """Return what a model is for, learned from and is worth, as Markdown.

    Parameters
    ----------
    card
        What the model says about itself; nothing is added that it does not say.
    file, size, parameters
        Name and bytes of its file, and numbers among its weights.
    """
    about = card.description.strip() or "Its maker says nothing about it."
    pixel = (
        ""
        if card.resolution is None
        else f", pixels of {card.resolution * card.scale:g} (units of"
        " the coordinate system, mostly metres)"
    )
    lines = [f"# {_text(card.name)}", "", _text(about), ""]
    lines += _table(
        ("", ""),
        [
            ("file", f"`{file}`, {size:,} bytes"),
            ("BLAKE2b (16 bytes)", f"`{card.hash}`"),
            ("network", f"{card.network}, {parameters:,} numbers{_options(card.arguments)}"),
            ("input", f"{len(card.bands)} bands, tiles of {card.tile} px{pixel}"),
            ("sensor", card.sensor or "not said"),
            ("output", f"probabilities of {card.classes} classes a pixel"),
        ],
    )
    lines += ["## Bands", "", "Readings as scenes hold them.", ""]
    bands = zip(card.bands, card.mean, card.std, strict=True)
    lines += _table(
        ("band", "mean", "deviation"), [(name, f"{m:g}", f"{s:g}") for name, m, s in bands]
    )
    lines += [
        f"Where a reading is invalid, the network sees {card.fill:g} in every band, and the map"
        " holds no class.",
        "",
        "## Classes",
        "",
    ]
    lines += _classes(card)
    lines += ["## What it learned from", ""]
    made = card.training.get("made_by")
    rows = _rows(made if isinstance(made, Mapping) else {})[:1]  # the rest stands below
    told = ("scores", "made_by")
    rows += _rows({key: value for key, value in card.training.items() if key not in told})
    lines += _table(("", ""), rows) if rows else ["Not said.", ""]
    scores = card.training.get("scores")
    if isinstance(scores, Mapping):
        rows = _rows({key: value for key, value in scores.items() if key != "classes"})
        if rows:
            lines += ["## Scores", "", *_table(("", ""), rows)]
    lines += ["## Limits", "", *[f"- {text}" for text in _limits(card)], ""]
    return "\n".join(lines)


def _classes(card: ModelCard) -> list[str]:
    scores = card.training.get("scores")
    listed = scores.get("classes") if isinstance(scores, Mapping) else None
    by_id = {
        item.get("id"): item
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, Mapping)
    }
    shown = [
        (key, title)
        for key, title in _SCORES
        if any(isinstance(item.get(key), float) for item in by_id.values())
    ]
    rows = []
    for c in card.legend.classes:
        values = [by_id.get(c.id, {}).get(key) for key, _ in shown]
        found = [f"{value:.3f}" if isinstance(value, float) else "–" for value in values]
        rows.append((str(c.id), c.name, hex_of(c.color), *found))
    return _table(("id", "class", "colour", *(title for _, title in shown)), rows)


def _limits(card: ModelCard) -> list[str]:
    limits = [
        "Every valid pixel gets one of the classes above, whatever is really there.",
        f"It knows the bands {', '.join(map(_text, card.bands))} in the units above; other units,"
        " sensors or"
        " processing levels are another kind of input.",
    ]
    if card.resolution is not None:
        limits.append(
            f"It has seen pixels of {card.resolution * card.scale:g}; at other sizes expect worse."
        )
    if card.colour is not None:
        limits.append("It learned from homogenised scenes; others are brought to that colour.")
    if not isinstance(card.training.get("scores"), Mapping):
        limits.append("Nobody has measured it on data that it did not learn from, or says so.")
    else:
        limits.append("Its scores hold for ground like that on which they were measured.")
    return limits


def _options(arguments: Mapping[str, Any]) -> str:
    text = ", ".join(f"{key} {value}" for key, value in arguments.items())
    return f" ({text})" if text else ""


def _rows(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows of a nested record; long lists are counted."""
    rows: list[tuple[str, str]] = []
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _rows(value, f"{name}.")
        elif isinstance(value, list | tuple):
            long = len(value) > _MOST_LISTED or any(isinstance(v, list | Mapping) for v in value)
            rows.append((name, f"{len(value)} entries" if long else ", ".join(map(str, value))))
        elif value is not None:
            rows.append((name, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [*("| " + " | ".join(map(_cell, line)) + " |" for line in lines), ""]


def _cell(text: str) -> str:
    return text if text.startswith(("`", "---")) else _text(text)


def _text(text: str) -> str:
    """Write a text so that Markdown and a browser take it as one: no markup, one line."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("&", "&amp;")
    plain = plain.replace("<", "&lt;").replace(">", "&gt;")
    for mark in "`*_[]|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
