"""What the numbers of a run say, in sentences. Knows no files and no pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.cam.result import CamScores
from geoseg.inference.cam.seams import Seams
from geoseg.report.numbers import percent

WAY_NAMES = {
    "argmax": "arg-max",
    "zscore": "z-score",
    "median": "median",
    "logistic": "logistic regression",
}
"""How ways of combining maps are called, in the order in which they are shown."""

# A network that is not this much better than the majority guess has learned little.
_LITTLE = 0.02
# Ratios of differences up to which patches leave no lines, and up to which these are faint.
_NO_LINES, _FAINT_LINES = 1.1, 1.5
# Recall of rare and frequent classes must change by this much to be spoken of.
_SHIFT = 0.01
# And the most frequent class must be this many times as frequent as the rarest.
_UNEVEN = 2.0


def way_name(way: str) -> str:
    """Name a way of combining maps for people."""
    return WAY_NAMES[way]


def ways_of(scores: CamScores | None) -> tuple[str, ...]:
    """List the ways that were scored, in the order in which they are shown."""
    if scores is None:
        return ()
    return tuple(way for way in WAY_NAMES if way in scores.ways)


def best_ways(scores: CamScores) -> tuple[str, ...]:
    """Find the ways with the highest pixel accuracy: one, several that are equal, or none."""
    reached = {way: scores.of(way).accuracy for way in ways_of(scores)}
    known = [value for value in reached.values() if not math.isnan(value)]
    return tuple(way for way, value in reached.items() if known and value == max(known))


def seam_words(seams: Seams) -> str:
    """Say whether maps show where patches meet."""
    ratio, lattice = seams.ratio, seams.lattice_ratio
    if math.isnan(ratio):
        return "there are no lines between patches"
    if ratio <= _NO_LINES:
        return "patches leave no lines"
    if lattice <= _NO_LINES:
        return "no rougher than the network's own grid: patches leave no lines"
    if ratio <= _FAINT_LINES:
        return "faint lines along patch borders"
    return "lines along patch borders show"


def remarks(scores: CamScores | None, used: str | None, names: Sequence[str]) -> tuple[str, ...]:
    """Say what a reader of the scores should know, most important first.

    Parameters
    ----------
    scores
        Against labels of pixels; None without any.
    used
        The way in which weak labels were made; None where none were.
    names
        Of the classes, in order.
    """
    if scores is None:
        return ("There was no reference to compare with, so there are no scores.",)
    said = [_task(scores)]
    ways = ways_of(scores)
    if not ways or not scores.ways[ways[0]].any():
        return (*filter(None, said), "No pixel was labelled, so weak labels have no scores.")
    said += [_ways(scores, used), _against_one_class(scores, used, names)]
    said += [_rare(scores), _lost(scores, used, names), _swapped(scores, names)]
    return tuple(text for text in said if text)


def majority_words(scores: CamScores) -> str:
    """Hold the network's task accuracy against the majority guess; "" if unknown."""
    presence = scores.presence
    gain = math.nan if presence is None else presence.accuracy - presence.majority
    if math.isnan(gain):
        return ""
    return against(gain, "the majority guess")


def against(gain: float, other: str) -> str:
    """Say how far a share lies above or below another: "2.3 points above arg-max"."""
    points = f"{100 * abs(gain):.1f}"
    if points == "0.0":
        return f"as good as {other}"
    return f"{points}\N{NO-BREAK SPACE}points {'above' if gain > 0 else 'below'} {other}"


def _task(scores: CamScores) -> str:
    presence = scores.presence
    words = majority_words(scores)
    if presence is None or not words:
        return ""
    gain = presence.accuracy - presence.majority
    if gain < _LITTLE:
        only = "only " if gain > 0 and "points" in words else ""
        # Maps may be good all the same: pixels tell.
        verdict = "" if _pixel_gain(scores) >= _LITTLE else ": its maps say little"
        return f"The network's task accuracy is {only}{words}{verdict}."
    return (
        f"Of the network's answers which classes patches hold, {percent(presence.accuracy)} are"
        f" right, {words}."
    )


def _pixel_gain(scores: CamScores) -> float:
    """How far the best way is above giving every pixel the most frequent class; 0 if unknown."""
    best = best_ways(scores)
    return scores.of(best[0]).accuracy - scores.pixel_majority if best else 0.0


def _ways(scores: CamScores, used: str | None) -> str:
    """Hold the best way against the one used, or the one used against arg-max."""
    best = best_ways(scores)
    if len(scores.ways) < 2 or not best:
        return ""
    top = scores.of(best[0]).accuracy
    if used in scores.ways and used not in best:
        gain = scores.of(str(used)).accuracy - top
        words = against(gain, f"{way_name(best[0])}, the best way")
        return f"Weak labels were made by {way_name(str(used))}, which is {words}."
    way = str(used) if used in best else best[0]
    if way == "argmax":
        others = [scores.of(other).accuracy for other in scores.ways if other != way]
        second = max((v for v in others if not math.isnan(v)), default=math.nan)
        if math.isnan(second):
            return ""
        return f"No way is better than arg-max: it is {against(top - second, 'the next best')}."
    if "argmax" not in scores.ways:
        return f"The best way is {way_name(way)}."
    gain = top - scores.of("argmax").accuracy
    name = way_name(way)
    return f"{name[0].upper()}{name[1:]}, the best way, is {against(gain, 'arg-max')}."


def _shown(scores: CamScores, used: str | None) -> str:
    """Return the way to speak of: the one used, or the best."""
    return str(used) if used in scores.ways else (*best_ways(scores), *ways_of(scores))[0]


def _against_one_class(scores: CamScores, used: str | None, names: Sequence[str]) -> str:
    way = _shown(scores, used)
    totals = scores.ways[way].sum(axis=1)
    if not totals.any():
        return ""
    words = against(
        scores.of(way).accuracy - float(totals.max() / totals.sum()),
        f"giving every pixel the class “{names[int(totals.argmax())]}”",
    )
    return f"{percent(scores.of(way).accuracy)} of the labelled pixels are right by" + (
        f" {way_name(way)}, {words}."
    )


def _rare(scores: CamScores) -> str:
    """Tell where standardised maps find rare classes at the cost of frequent ones."""
    if not {"argmax", "zscore"} <= set(scores.ways):
        return ""
    counts, other = scores.ways["argmax"], scores.ways["zscore"]
    totals = counts.sum(axis=1)
    there = totals > 0
    rare = there & (totals * there.sum() < totals.sum())
    frequent = there & ~rare
    if not rare.any() or totals.max() < _UNEVEN * totals[there].min():
        return ""
    found, lost = _recall(counts, rare), _recall(counts, frequent)
    now_found, now_lost = _recall(other, rare), _recall(other, frequent)
    if now_found - found < _SHIFT or lost - now_lost < _SHIFT:
        return ""
    return (
        "Z-score finds rare classes but gives away frequent ones: mean recall of classes rarer"
        f" than the average goes from {percent(found)} to {percent(now_found)}, of the others from"
        f" {percent(lost)} to {percent(now_lost)}, compared with arg-max."
    )


def _recall(counts: NDArray[np.int64], classes: NDArray[np.bool_]) -> float:
    return float((np.diag(counts)[classes] / counts.sum(axis=1)[classes]).mean())


def _lost(scores: CamScores, used: str | None, names: Sequence[str]) -> str:
    way = _shown(scores, used)
    counts = scores.ways[way]
    lost = [
        name
        for name, total, hits in zip(names, counts.sum(axis=1), np.diag(counts), strict=True)
        if total and not hits
    ]
    if not lost:
        return ""
    rest = f" and {len(lost) - 8} more" if len(lost) > 8 else ""
    return f"Never found by {way_name(way)}: {', '.join(lost[:8])}{rest}."


def _swapped(scores: CamScores, names: Sequence[str]) -> str:
    """Ask about classes that are taken for each other more often than not."""
    if "argmax" not in scores.ways:
        return ""
    counts = scores.ways["argmax"]
    most = 2 * counts > counts.sum(axis=1, keepdims=True)
    pairs = np.argwhere(np.triu(most & most.T, 1))
    if not len(pairs):
        return ""
    one, other = (names[int(i)] for i in pairs[0])
    return (
        f"By arg-max most of “{one}” is taken for “{other}”, and most of “{other}” for “{one}”: do"
        " the codes of the reference mean the classes of the model?"
    )
