"""What several networks are made of, and checks of the options that shape them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from geoseg.errors import OptionError

_MOST_CHANNELS = 8192
_MOST_REPEATS = 64


def convolution_norm_relu(inside: int, outside: int) -> list[nn.Module]:
    """Layers of a 3 × 3 convolution that keeps the size, a batch norm and a ReLU.

    The convolution has no bias, which the batch norm would subtract again with the mean.
    """
    return [
        nn.Conv2d(inside, outside, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    ]


def convolution_elu_norm(
    inside: int, outside: int, *, kernel: int = 3, stride: int = 1
) -> list[nn.Module]:
    """Layers of a convolution, an ELU and a batch norm, in this order.

    The convolution keeps the size (divides it by `stride`) and has a bias: the ELU stands between
    it and the batch norm.
    """
    return [
        nn.Conv2d(inside, outside, kernel_size=kernel, stride=stride, padding=kernel // 2),
        nn.ELU(inplace=True),
        nn.BatchNorm2d(outside),
    ]


def checked_widths(
    widths: Sequence[int], *, least: int = 1, most: int = 8, name: str = "widths"
) -> tuple[int, ...]:
    """Check numbers of channels that a user gave, from `least` to `most` of them.

    Raises
    ------
    OptionError
        There are too few or too many, or one is no number of channels.
    """
    return _checked(widths, least, most, _MOST_CHANNELS, name, "numbers of channels")


def checked_width(name: str, width: object) -> int:
    """Check one number of channels that a user gave.

    Raises
    ------
    OptionError
        It is none.
    """
    if type(width) is not int or not 1 <= width <= _MOST_CHANNELS:
        raise OptionError(f"{name} is a number of channels up to {_MOST_CHANNELS}, not {width!r}")
    return width


def checked_repeats(repeats: Sequence[int], *, count: int, name: str) -> tuple[int, ...]:
    """Check `count` numbers of layers that a user gave.

    Raises
    ------
    OptionError
        There are more or fewer, or one is no number of layers.
    """
    return _checked(repeats, count, count, _MOST_REPEATS, name, "numbers of layers")


def checked_flag(name: str, value: object) -> bool:
    """Check an option that is true or false.

    Raises
    ------
    OptionError
        It is neither.
    """
    if not isinstance(value, bool):
        raise OptionError(f"{name} is true or false, not {value!r}")
    return value


def _checked(
    given: object, least: int, most: int, highest: int, name: str, what: str
) -> tuple[int, ...]:
    # From a command line or a file: anything.
    if (
        isinstance(given, list | tuple)
        and least <= len(given) <= most
        and all(type(number) is int and 1 <= number <= highest for number in given)
    ):
        return tuple(given)
    count = str(least) if least == most else f"{least} to {most}"
    raise OptionError(f"{name} are {count} {what} up to {highest}, not {given!r}")
