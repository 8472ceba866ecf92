"""What a person is told of a finished data set: in words, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geoseg.patches.bandjson import statistics_to_json
from geoseg.patches.gathered import Inputs
from geoseg.patches.record import Outcome, public_problems
from geoseg.patches.settings import TileSettings

_MOST_LINES = 20
"""Of what was left out that a person is shown."""


def summary_json(
    inputs: Inputs,
    settings: TileSettings,
    outcome: Outcome,
    *,
    pixels: int,
    seconds: float,
) -> dict[str, Any]:
    """Return the summary of a finished set as plain JSON."""
    shares: list[dict[str, Any]] = []
    unlabelled: dict[str, float] = {}
    if inputs.pixel_legend is not None:
        of_split = {
            name: np.array(counts) / max(1, outcome.pixels[name])
            for name, counts in outcome.class_pixels.items()
        }
        shares = [
            {"class": name, **{split: float(s[index]) for split, s in of_split.items()}}
            for index, name in enumerate(inputs.pixel_legend.names)
        ]
        unlabelled = {split: 1 - float(s.sum()) for split, s in of_split.items()}
    return {
        "size": settings.size,
        "stride": settings.stride,
        "bands": list(inputs.bands),
        "dtype": inputs.dtype.name,
        "patches": outcome.splits,
        "dropped": outcome.dropped,
        "class_shares": shares,
        "unlabelled": unlabelled,
        "labelling": inputs.labelling,
        "present": settings.present,
        "class_presence": _class_presence(inputs, outcome),
        "ignored_label_values": {str(v): n for v, n in sorted(outcome.ignored.items())},
        "statistics": {
            "bands": [statistics_to_json(band) for band in outcome.statistics],
            "source": outcome.statistics_source,
        },
        "problems": public_problems(inputs.problems),
        **_colour(inputs),
        **({} if inputs.scale == 1 else {"scale": inputs.scale}),
        "patches_before": outcome.before,
        "megapixels": pixels / 1e6,
        "seconds": seconds,
        "megapixels_per_second": pixels / 1e6 / seconds,
    }


def _colour(inputs: Inputs) -> dict[str, Any]:
    """Say what scenes were brought to, if to anything."""
    if inputs.colour is None:
        return {}
    standard, seams = inputs.colour.standard, inputs.colour.seams
    before, after = seams or (None, None)
    return {
        "colour": {
            "text": standard.text,
            "digest": standard.digest,
            "seams_before": before,
            "seams_after": after,
        }
    }


def _class_presence(inputs: Inputs, outcome: Outcome) -> list[dict[str, Any]]:
    """Share of the patches of each split that hold a class."""
    return [
        {"class": name}
        | {
            split: counts[index] / max(1, outcome.splits[split])
            for split, counts in outcome.patches_with_class.items()
        }
        for index, name in enumerate(() if inputs.legend is None else inputs.legend.names)
    ]


def _left_out(problems: Sequence[Mapping[str, str]]) -> list[str]:
    """Lines of what was left out; the first of many, for dataset.json has all."""
    shown = [(f"{p['path']}: ", p["reason"]) for p in problems[:_MOST_LINES]]
    lines = [f"left out: {path}{reason.removeprefix(path)}" for path, reason in shown]
    if len(problems) > _MOST_LINES:
        lines.append(
            f"left out: {len(problems) - _MOST_LINES:,} more, {len(problems):,} in all: see the"
            " problems in dataset.json"
        )
    return lines


def summary_text(summary: Mapping[str, Any]) -> str:
    """Lay out a summary for people."""
    if summary.get("there"):
        kept = ", ".join(f"{n:,} {name}" for name, n in summary["patches"].items())
        return (
            f"{summary['output']} is there already, of the same inputs and settings: {kept} patches"
        )
    kept = ", ".join(f"{n:,} {name}" for name, n in summary["patches"].items())
    lines = [
        f"{kept} patches of {summary['size']} × {summary['size']} px, stride {summary['stride']}, "
        f"{len(summary['bands'])} bands, {summary['dtype']}"
    ]
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in summary["dropped"].items())
    lines.append(f"dropped: {dropped or 'none'}")
    if "colour" in summary:
        found = summary["colour"]
        line = f"colour: {found['text']}"
        if found["seams_before"] is not None:
            line += f"; at seams {found['seams_before']:.3g} before, {found['seams_after']:.3g} now"
        lines.append(line)
    if "scale" in summary:
        lines.append(f"scale: 1:{summary['scale']}, as the labels are")
    if summary["patches_before"]:
        lines.append(f"gone on with: {summary['patches_before']:,} patches were looked at before")
    lines += _left_out(summary["problems"])
    if summary["ignored_label_values"]:
        ignored = sorted(summary["ignored_label_values"].items(), key=lambda item: -item[1])
        listed = ", ".join(f"{value} ({n:,} px)" for value, n in ignored[:8])
        more = f" and {len(ignored) - 8} more" if len(ignored) > 8 else ""
        lines.append(f"label values without a class, taken as unlabelled: {listed}{more}")
    header = f"{'band':<16}{'mean':>12}{'std':>12}{'min':>12}{'2 %':>12}{'98 %':>12}{'max':>12}"
    lines += ["", f"{header}   ({summary['statistics']['source']})"]
    for band in summary["statistics"]["bands"]:
        numbers = [band["mean"], band["std"], band["min"]]
        numbers += [band["percentiles"]["2"], band["percentiles"]["98"], band["max"]]
        cells = "".join(f"{'–' if n is None else format(n, '.6g'):>12}" for n in numbers)
        lines.append(f"{band['name']:<16}{cells}")
    if summary["class_shares"]:
        splits = [name for name, n in summary["patches"].items() if n]
        lines += ["", f"{'class':<28}" + "".join(f"{name:>10}" for name in splits)]
        for row in summary["class_shares"]:
            shares = "".join(f"{row[name]:>10.2%}" for name in splits)
            lines.append(f"{row['class']:<28}{shares}")
        unlabelled = "".join(f"{summary['unlabelled'][name]:>10.2%}" for name in splits)
        lines.append(f"{'(unlabelled)':<28}{unlabelled}")
    if summary["class_presence"]:
        splits = [name for name, n in summary["patches"].items() if n]
        rule = ""
        if summary["labelling"] == "pixels":
            rule = f" (over {100 * summary['present']:.3g} %)"
        title = f"patches with the class{rule}"
        lines += ["", f"{title:<40}" + "".join(f"{name:>10}" for name in splits)]
        for row in summary["class_presence"]:
            shares = "".join(f"{row[name]:>10.2%}" for name in splits)
            lines.append(f"{row['class']:<40}{shares}")
    lines += [
        "",
        f"{summary['output']}: {summary['megapixels']:.3g} Mpx in {summary['seconds']:.3g} s, "
        f"{summary['megapixels_per_second']:.3g} Mpx/s",
    ]
    return "\n".join(lines)
