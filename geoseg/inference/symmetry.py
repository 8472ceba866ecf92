"""The eight symmetries of a square: four rotations, each mirrored or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

Turn = Callable[[torch.Tensor], torch.Tensor]


def symmetries(all_eight: bool) -> Iterator[tuple[Turn, Turn]]:
    """Give functions that turn tiles, and those that turn answers back.

    Both take and give (…, rows, cols); the first pair leaves everything as it is.

    Parameters
    ----------
    all_eight
        Whether to give all of them, or the first alone.
    """
    for turns in range(4 if all_eight else 1):
        for mirrored in (False, True) if all_eight else (False,):
            yield _forwards(turns, mirrored), _backwards(turns, mirrored)


def _forwards(turns: int, mirrored: bool) -> Turn:
    def turn(x: torch.Tensor) -> torch.Tensor:
        if mirrored:
            x = x.flip(-1)
        if turns:
            x = torch.rot90(x, turns, (-2, -1))
        return x.contiguous(memory_format=torch.channels_last)

    return turn


def _backwards(turns: int, mirrored: bool) -> Turn:
    def turn_back(x: torch.Tensor) -> torch.Tensor:
        if turns:
            x = torch.rot90(x, -turns, (-2, -1))
        return x.flip(-1) if mirrored else x

    return turn_back
