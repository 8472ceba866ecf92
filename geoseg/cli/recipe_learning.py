"""What a recipe's training steps say, checked before the hours of work that come before them."""

from __future__ import annotations

from collections.abc import Callable

from geoseg.errors import OptionError


def check_learning(option: str, text: str) -> None:
    """Check what an option of ``geoseg train`` says, as far as can be told without data.

    Parameters
    ----------
    option
        Its name, without dashes.
    text
        Its value.

    Raises
    ------
    GeosegError
        The text cannot be read, or names what is not there.
    """
    if option in _CHECKS:
        _CHECKS[option](text)


def _model(text: str) -> None:
    from geoseg.models.registry import names  # noqa: PLC0415 — only where a step says so

    if ":" not in text:  # members of families, their library alone knows
        _is_one(text, names(), "network")


def _loss(text: str) -> None:
    from geoseg.terms import parse_sum  # noqa: PLC0415
    from geoseg.training.losses.registry import names  # noqa: PLC0415 — imports torch

    for term in parse_sum(text, option="--loss"):
        _is_one(term.call.name, names(), "loss")


def _augment(text: str) -> None:
    from geoseg.patches.augment.registry import AUGMENTATIONS  # noqa: PLC0415
    from geoseg.terms import parse_list  # noqa: PLC0415

    for call in parse_list(text, option="--augment"):
        AUGMENTATIONS.maker(call.name)
        AUGMENTATIONS.check_options(call.name, call.arguments)


def _sampler(text: str) -> None:
    from geoseg.patches.sampling.registry import names  # noqa: PLC0415
    from geoseg.terms import parse_call  # noqa: PLC0415

    _is_one(parse_call(text, option="--sampler").name, names(), "sampler")


def _schedule(text: str) -> None:
    from geoseg.training.schedule import make_schedule  # noqa: PLC0415

    make_schedule(text)


def _swa(text: str) -> None:
    from geoseg.training.averaging import Averaging  # noqa: PLC0415

    Averaging.parse(text)


_CHECKS: dict[str, Callable[[str], None]] = {
    "model": _model,
    "loss": _loss,
    "augment": _augment,
    "sampler": _sampler,
    "schedule": _schedule,
    "swa": _swa,
}


def _is_one(name: str, known: tuple[str, ...], kind: str) -> None:
    from geoseg.recipe.lines import suggestion  # noqa: PLC0415

    if name not in known:
        raise OptionError(f"there is no {kind} '{name}'{suggestion(name, list(known))}")
