"""A rectangle of pixels. Knows neither files nor places on Earth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: rows ``row … row + height − 1``, columns ``col … col + width − 1``.

    Rows count downwards from the first row of the raster, columns from its first column. A window
    may lie partly outside its raster; whoever reads it says what that means.
    """

    row: int
    """First row."""
    col: int
    """First column."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""

    @property
    def row_stop(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """First column to the right of the window."""
        return self.col + self.width

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def slices(self, *, row_origin: int = 0, col_origin: int = 0) -> tuple[slice, slice]:
        """Slices of rows and columns in an array whose first pixel is at the given origin."""
        return (
            slice(self.row - row_origin, self.row_stop - row_origin),
            slice(self.col - col_origin, self.col_stop - col_origin),
        )

    def intersection(self, other: Window) -> Window | None:
        """Return the part that both share, or None where they do not touch."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.row_stop, other.row_stop) - row
        width = min(self.col_stop, other.col_stop) - col
        return Window(row, col, height, width) if height > 0 and width > 0 else None

    def contains(self, other: Window) -> bool:
        """Tell whether `other` lies wholly inside."""
        return (
            self.row <= other.row
            and self.col <= other.col
            and other.row_stop <= self.row_stop
            and other.col_stop <= self.col_stop
        )
