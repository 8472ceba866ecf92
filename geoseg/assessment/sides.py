"""Several predictions against the same labels, on the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from geoseg.assessment.align import at_scale_of, lay_on, name_disagreements, open_classes
from geoseg.assessment.evaluate import Comparison, compare
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.scoring import Scoring
from geoseg.errors import OptionError
from geoseg.raster.legend import Legend
from geoseg.raster.legend.rasters import raster_legend

MOST_SIDES = 16
"""Predictions that are compared at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """Predictions that lie on the first one's pixels, all with the same classes."""

    comparisons: tuple[Comparison, ...]
    """One a prediction, the first the one that the others are compared with."""

    @property
    def work(self) -> int:
        """Pixels that counting reads."""
        return len(self.comparisons) * self.comparisons[0].window.area

    def run(
        self, *, workers: int = 4, progress: Callable[[int], None] | None = None
    ) -> tuple[Sides, tuple[Evaluation, ...]]:
        """Count each; see `Comparison.run`.

        Returns
        -------
        The sides with the classes that were found, where no raster names them, and an evaluation a
        prediction.
        """
        found = [c.run(workers=workers, progress=progress) for c in self.comparisons]
        legends = [one.legend for one in found]
        if any(legend != legends[0] for legend in legends):
            ids = sorted({id_ for legend in legends for id_ in legend.ids})
            sides = self.with_legend(Legend.of_values(ids))
            return sides, tuple(c.run(workers=workers) for c in sides.comparisons)
        return self.with_legend(legends[0]), tuple(found)

    def with_legend(self, legend: Legend) -> Sides:
        """Return the sides with these classes."""
        return Sides(comparisons=tuple(replace(c, legend=legend) for c in self.comparisons))


def compare_sides(
    predictions: Sequence[str | Path],
    labels: str | Path,
    scoring: Scoring | None = None,
    *,
    labels_name: str | None = None,
) -> Sides:
    """Lay predictions and labels on the grid of the first prediction; see `compare`.

    `labels_name` is what the labels are called, if not by their path.

    Raises
    ------
    OptionError
        There is no prediction, or there are too many.
    GridError, BandError, RasterReadError, LabelError, VectorError
        As `compare`.
    """
    if not 1 <= len(predictions) <= MOST_SIDES:
        raise OptionError(f"1 to {MOST_SIDES} predictions can be compared, not {len(predictions)}")
    scoring = scoring or Scoring()
    first = compare(predictions[0], labels, scoring)
    if labels_name is not None:
        first = replace(first, names=(first.names[0], labels_name))
    found = [first]
    for source in predictions[1:]:
        scene, name = open_classes(source)
        scene, said = at_scale_of(first.prediction, scene, (name, first.names[0]))
        moved, notes = lay_on(
            first.prediction,
            scene,
            (first.names[0], name),
            assume_aligned=scoring.assume_aligned,
            strict=scoring.strict_grid,
            whose="the first prediction's",
        )
        own = raster_legend(scene.paths[0])
        if first.legend is not None and own is not None:
            whose = (
                "the first prediction" if scoring.classes is None else "--classes",
                str(source),
            )
            notes += name_disagreements(first.legend, own, whose=whose)
        found.append(
            replace(first, prediction=moved, names=(name, first.names[1]), notes=(*said, *notes))
        )
    return Sides(comparisons=tuple(found))
