"""What may change readings on their way out of the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.window import Window


class Recolour(Protocol):
    """Changes the readings of a scene, each by its value and its place; see `Scene.recoloured`.

    What a pixel becomes depends neither on the window that it is read by nor on the thread.
    """

    def select(self, order: Sequence[int]) -> Self:
        """Return what does the same to the bands at these positions, in this order."""

    def apply(self, data: NDArray[Any], valid: NDArray[np.bool_], window: Window) -> int:
        """Change readings in place; safe from any thread.

        Parameters
        ----------
        data
            (bands, rows, cols) in the scene's dtype.
        valid
            (rows, cols), True where every band has a reading; others stay as they are.
        window
            Where the pixels lie in the scene's own grid.

        Returns
        -------
        How many readings did not fit into the type and became the nearest that does.
        """
