"""What a comparison of a prediction with labels found: counts, and the scores that follow."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.assessment.codes import Tally
from geoseg.assessment.confusion import Confusion, Scores
from geoseg.errors import LabelError
from geoseg.raster.legend import Legend


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What a comparison found: counts of pixels, and the scores that follow from them."""

    prediction: str
    """What the prediction is called."""
    labels: str
    """What the labels are called."""
    fingerprints: tuple[str, str]
    """Hashes of the prediction's and of the labels' content."""
    legend: Legend
    """Classes, in the order of the confusion."""
    confusion: Confusion
    """Counts, by class index."""
    left_out: tuple[int, ...]
    """Indices of classes that enter no mean."""
    ignored_values: tuple[int, ...]
    """Label values that were not to be scored."""
    unpredicted_is_wrong: bool
    """Whether labelled pixels without a prediction count as errors."""
    pixels: int
    """Pixels of the prediction's grid, inside the region if there is one."""
    unlabelled: int
    """Pixels where the labels are nodata or do not reach."""
    ignored: int
    """Pixels whose label value was to be ignored."""
    unknown_labels: Tally
    """Pixels whose label value means no class."""
    unknown_predictions: Tally
    """Labelled pixels whose predicted value is no class; they are among the unpredicted."""
    region: str | None
    """Polygons or bounds inside which pixels were scored, as given; None is everywhere."""
    notes: tuple[str, ...]
    """What was done to make both comparable, in words."""
    of_patches: bool = False
    """Whether pixels are those of patches, of which the labelled alone are known."""

    @property
    def scores(self) -> Scores:
        """Every score; `Scores` says how each is defined."""
        return self.confusion.scores(
            leave_out=self.left_out, unpredicted_is_wrong=self.unpredicted_is_wrong
        )


def check_scored(found: Evaluation) -> None:
    """Refuse an evaluation of nothing, and say why it is; LabelError."""
    scores = found.scores
    if scores.scored:
        return
    if scores.labelled:
        strays = found.unknown_predictions
        why = f"; {strays.pixels:,} px hold {strays.words()}" if strays.pixels else ""
        raise LabelError(
            f"{found.prediction} predicts no class where {found.labels} is labelled"
            f" ({scores.labelled:,} px){why}: check --classes, or that both belong together"
        )
    unknown = found.unknown_labels
    reasons = (
        (found.unlabelled, "are nodata or outside"),
        (found.ignored, "are ignored"),
        (unknown.pixels, f"hold {unknown.words()}"),
    )
    why = ", ".join(f"{pixels:,} px {how}" for pixels, how in reasons if pixels)
    advice = "; say with --classes which label values mean which class" if unknown.pixels else ""
    raise LabelError(f"no pixel of {found.labels} can be scored: {why or 'there is none'}{advice}")
