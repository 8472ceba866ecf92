"""A model on a split of a data set: the same report as of a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.assessment.codes import Tally
from geoseg.assessment.confusion import Confusion
from geoseg.assessment.document import document
from geoseg.assessment.evaluating import Evaluated, Reports
from geoseg.assessment.evaluation import Evaluation, check_scored
from geoseg.assessment.findings import Findings, class_index
from geoseg.assessment.writing import write_report
from geoseg.errors import DatasetError, OptionError
from geoseg.models.addressed import here, public

_MOST_WORKERS = 4
"""Readers of patches beyond these only wait for the network."""


@dataclass(frozen=True, kw_only=True)
class SplitJob:
    """A model, a data set, and which patches to score."""

    model: str
    """The model's file, or its address."""
    dataset: str
    """The data set's folder."""
    split: str
    """Name of the split."""
    leave_out: tuple[int | str, ...] = ()
    """Ids or names of classes that enter no mean."""
    device: str = "auto"
    """Where the network runs."""
    reports: Reports = field(default_factory=Reports)
    """What to write; no raster of errors and no scene."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was asked for, for the report."""

    @property
    def work(self) -> int | None:
        """Pixels that are read; not known before."""
        return None

    def run(self, *, workers: int = 2, progress: Callable[[int], None] | None = None) -> Evaluated:
        """Score the model, each patch alone, in evaluation mode, and write.

        A pixel of a scene that several patches hold counts once, as the first of them has it.
        At most four workers are used.

        Raises
        ------
        ModelError
            The file is no model.
        DatasetError
            There is no such data set or split, its classes or bands are not the model's, or its
            labels are of patches and not of pixels.
        OptionError
            A raster of errors or a scene is wanted.
        """
        if self.reports.errors is not None or self.reports.scene is not None:
            raise OptionError("--errors and --scene go with maps, not with a split of a data set")
        with here(self.model) as model:  # one version of it, whoever reads it
            return self._scored(model, workers, progress)

    def _scored(
        self, model: Path, workers: int, progress: Callable[[int], None] | None
    ) -> Evaluated:
        # Imported here: torch takes seconds.
        from geoseg.models.card import read_card  # noqa: PLC0415
        from geoseg.models.device import resolve_device  # noqa: PLC0415
        from geoseg.patches.dataset import PatchDataset  # noqa: PLC0415
        from geoseg.training.comparison.scoring import score_model  # noqa: PLC0415

        card = read_card(model)
        left_out = {class_index(item, card.legend) for item in self.leave_out}
        if len(left_out) == len(card.legend):
            raise OptionError("every class is left out, so there is nothing to average")
        dataset = PatchDataset.open(self.dataset)
        scores = score_model(
            str(model),
            dataset,
            self.split,
            device=resolve_device(self.device),
            workers=min(_MOST_WORKERS, workers),
            once=True,
        )
        counts = np.array(scores["confusion"], np.int64)
        if counts.ndim != 2:
            raise DatasetError(
                f"{self.dataset} has labels of patches, not of pixels: geoseg train reports how a"
                " model does on them"
            )
        found = Evaluation(
            prediction=public(self.model),
            labels=f"{Path(self.dataset).name} ({self.split})",
            fingerprints=(str(card.hash), dataset.hash()),
            legend=card.legend,
            confusion=Confusion(counts, np.zeros(len(card.legend), np.int64)),
            left_out=tuple(sorted(left_out)),
            ignored_values=(),
            unpredicted_is_wrong=False,
            pixels=int(counts.sum()),
            unlabelled=0,
            ignored=0,
            unknown_labels=Tally(),
            unknown_predictions=Tally(),
            region=None,
            notes=(
                "pixels are those of the patches that have a label, each counted once: in the first"
                " patch that holds it",
            ),
            of_patches=True,
        )
        check_scored(found)
        if progress is not None:
            progress(found.pixels)
        return self._written(found)

    def _written(self, found: Evaluation) -> Evaluated:
        findings = Findings()
        content = document([found], findings, settings=self.settings)
        if self.reports.report is not None:
            page = None
            if self.reports.with_page:
                from geoseg.report.evaluation_page import Side, evaluation_page  # noqa: PLC0415

                side = Side(content=content, shares=None, cell=1, worst=())
                page = evaluation_page([side], found.legend, options=self.settings)
            write_report(
                self.reports.report, content, findings, page, overwrite=self.reports.overwrite
            )
        return Evaluated(evaluations=(found,), findings=findings, content=content)


def check_split(rasters: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse what a split cannot give: several models, and what needs a map; OptionError."""
    if len(rasters) != 2:
        raise OptionError("with --split give one model and one data set")
    if wanted:
        raise OptionError(f"--{wanted[0]} goes with maps, not with a split of a data set")
