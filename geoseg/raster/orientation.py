"""How a picture is turned: the EXIF orientation, as index arithmetic and views. Knows no files.

Cameras store what the sensor saw and note how it was held; programs that show pictures turn them,
and so do those in which people draw labels. GDAL does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from geoseg.raster.window import Window

# By the value of EXIF: whether rows and columns change places, then whether rows, and columns, run
# backwards.
_STEPS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True)
class Orientation:
    """From a picture as it is stored to the picture as it is shown."""

    code: int
    """Value of EXIF, 1 (as stored) to 8."""
    height: int
    """Rows of the picture as it is shown."""
    width: int
    """Columns of the picture as it is shown."""

    @classmethod
    def of_tag(cls, tag: str | None, *, stored_height: int, stored_width: int) -> Orientation:
        """Orientation that a file's metadata say; as stored where they say nothing known."""
        code = next((c for c in _STEPS if tag is not None and tag.strip() == str(c)), 1)
        swapped = _STEPS[code][0]
        height, width = (stored_width, stored_height) if swapped else (stored_height, stored_width)
        return cls(code, height, width)

    @property
    def is_turned(self) -> bool:
        """Whether the picture is shown otherwise than it is stored."""
        return self.code != 1

    def stored(self, window: Window) -> Window:
        """Where a window of the picture as it is shown is stored."""
        swapped, rows_back, cols_back = _STEPS[self.code]
        row = self.height - window.row_stop if rows_back else window.row
        col = self.width - window.col_stop if cols_back else window.col
        if swapped:
            return Window(col, row, window.width, window.height)
        return Window(row, col, window.height, window.width)

    def as_stored(self, shown: NDArray[Any]) -> NDArray[Any]:
        """View what is shown of a window (…, rows, cols) as it is stored; writing goes through."""
        swapped, rows_back, cols_back = _STEPS[self.code]
        turned = shown[..., :: -1 if rows_back else 1, :: -1 if cols_back else 1]
        return turned.swapaxes(-1, -2) if swapped else turned
