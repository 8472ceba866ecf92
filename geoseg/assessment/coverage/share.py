"""The one rule of coverage, for cells, zones and photographs alike. Knows no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """How much of some places is of the target."""

    part: NDArray[np.float64]
    """(…,) amount of the target classes: pixels or square metres."""
    whole: NDArray[np.float64]
    """(…,) amount of all classes but the excluded."""

    @property
    def percent(self) -> NDArray[np.float64]:
        """(…,) coverage from 0 to 100; NaN where nothing counts."""
        found = np.full(self.part.shape, np.nan)
        np.divide(100.0 * self.part, self.whole, out=found, where=self.whole > 0)
        # Sums of shares of pixels may end a rounding above the whole.
        return np.asarray(np.minimum(found, 100.0))


def coverage_of_counts(
    counts: NDArray[np.float64] | NDArray[np.int64],
    target: Sequence[int],
    excluded: Sequence[int] = (),
) -> Shares:
    """Coverage from amounts of classes.

    Parameters
    ----------
    counts
        (…, classes) pixels or areas of each class; what has no class is not among them.
    target
        Indices of the classes whose share is wanted.
    excluded
        Indices of classes that count for nothing: sky or water, say.

    Returns
    -------
    Σ target and Σ all − Σ excluded, as float64 (whole numbers stay whole up to 2⁵³).

    Raises
    ------
    ValueError
        A class is both target and excluded.

    Notes
    -----
    Cvg = A_target / (A_all − A_excluded), eq. 7 of agde ("Automatic grassland degradation
    estimation") with any classes in the place of its own.
    """
    both = set(target) & set(excluded)
    if both:
        raise ValueError(f"classes {sorted(both)} are both target and excluded")
    kept = [i for i in range(counts.shape[-1]) if i not in set(excluded)]
    return Shares(
        part=counts[..., list(target)].sum(axis=-1, dtype=np.float64),
        whole=counts[..., kept].sum(axis=-1, dtype=np.float64),
    )
