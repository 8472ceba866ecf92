"""What is asked of ``geoseg predict``, whatever it is asked of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.inference.settings import PredictSettings


@dataclass(frozen=True, kw_only=True)
class Given:
    """Options, as they were typed."""

    models: tuple[str, ...]
    band_names: tuple[str, ...] | None
    bands: tuple[str, ...] | None
    settings: PredictSettings
    """All but the area of small components, which depends on the scene."""
    min_area: str | None
    probabilities: str | None
    confidence: str | None
    region: str | None
    device: str
    workers: int
    cluster: str | None
    cluster_workers: int | None
    """Threads as they were asked for: a cluster has its own default."""
    resume: bool
    overwrite: bool
    as_json: bool
