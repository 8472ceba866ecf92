"""What a measurement of coverage found, and what made it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.coverage.source import Layout, Source
from geoseg.assessment.stages import StageTable
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.provenance import option_words, provenance


@dataclass(frozen=True, kw_only=True)
class Total:
    """Coverage of everything that was measured."""

    coverage: float
    """Percent; NaN where nothing counts."""
    stage: str | None
    """Its stage, if there are stages."""
    nodata_share: float
    """Percent of the ground without data."""
    target_ha: float | None
    """Hectares of the target; None without a coordinate system."""
    counted_ha: float | None
    """Hectares of all classes but the excluded."""
    excluded_ha: float | None
    """Hectares of the excluded classes."""


@dataclass(frozen=True, kw_only=True)
class Zone:
    """Coverage of one zone."""

    name: str
    """What it is called: a field of the file, or its place in the file from 1."""
    coverage: float
    """Percent; NaN where nothing counts."""
    stage: str | None
    """Its stage, if there are stages."""
    nodata_share: float
    """Percent of the zone without data, off the raster included."""
    target_ha: float | None
    """Hectares of the target; None without a coordinate system."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was found and written."""

    outputs: tuple[Path, ...]
    """Files written."""
    source: str
    """The raster."""
    target: tuple[str, ...]
    """Names of the classes measured."""
    excluded: tuple[str, ...]
    """Names of the classes that count for nothing."""
    places: str
    """What the ground was cut into: a grid of cells or a file of zones, in words."""
    count: int
    """Number of cells or zones."""
    counted: int
    """Those of them where something counts."""
    total: Total
    """All of them together; what several zones share counts for each."""
    stages: Mapping[str, int]
    """Cells or zones by stage; empty without stages."""
    zones: tuple[Zone, ...]
    """Every zone; empty for cells."""
    notes: tuple[str, ...]
    """What a user should know, a sentence each without its full stop."""


def total_of(
    source: Source,
    layout: Layout,
    counts: NDArray[np.float64],
    areas: NDArray[np.float64],
    stages: StageTable | None,
    *,
    nodata_share: float | None = None,
) -> Total:
    """Coverage from sums.

    Parameters
    ----------
    counts, areas
        (size,) sums of pixels and of square metres.
    nodata_share
        Percent without data, where more is missing than the sums know.
    """
    shares = layout.shares(counts if source.counts_pixels else areas)
    on_ground = layout.shares(areas)
    if nodata_share is None:
        missing, valid = float(layout.missing(areas)), float(layout.valid(areas))
        nodata_share = 100 * missing / (missing + valid) if missing + valid > 0 else float("nan")
    known = source.areas is not None
    target, counted = float(on_ground.part) / 1e4, float(on_ground.whole) / 1e4
    excluded = float(layout.valid(areas)) / 1e4 - counted if layout.excluded else 0.0
    return Total(
        coverage=float(shares.percent),
        stage=None if stages is None else str(stages.of(shares.part, shares.whole)),
        nodata_share=nodata_share,
        target_ha=target if known else None,
        counted_ha=counted if known else None,
        excluded_ha=max(0.0, excluded) if known else None,
    )


def notes_of(source: Source) -> list[str]:
    """Say what reading the raster showed."""
    strays = source.strays
    if not strays.pixels:
        return []
    return [
        f"{strays.pixels:,} px of {source.name} hold {strays.words()} and count as without data"
    ]


def tags_of(
    source: Source,
    options: Mapping[str, Any],
    stages: StageTable | None,
    inputs: Mapping[str, str],
    *,
    name: str | None = None,
) -> dict[str, str]:
    """Provenance of the outputs.

    Parameters
    ----------
    options
        What else was asked: how the ground was cut up.
    inputs
        Digests of what was read besides the source, by name.
    name
        What was given as the source, where that is no raster; then `inputs` hold all that was read.
    """
    if name is None:
        name = source.name
        inputs = {source.name: source.scene.fingerprint(), **inputs}
    said: dict[str, Any] = {"target": ",".join(source.names(source.target))}
    if source.excluded:
        said["exclude"] = ",".join(source.names(source.excluded))
    said |= options
    if source.said is not None:
        said["classes"] = source.said
    if source.probabilities:
        said["from-probabilities"] = True
    if stages is not None:
        said["stages"] = stages.source
    command = ["geoseg", "coverage", name, *option_words(said)]
    files = [one for one in (source.said, stages.source if stages else None) if one is not None]
    # Path.is_file raises where a text is too long for a name.
    tables = {one: fingerprint_files([one]) for one in files if os.path.isfile(one)}
    return provenance(command, {**inputs, **tables}, options=said)
