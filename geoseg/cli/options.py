"""Options that several commands share, and how a command speaks."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from geoseg.cli.sent import send, spoken, with_sending
from geoseg.errors import OptionError, harmless, without_secrets

F = TypeVar("F", bound=Callable[..., Any])

TRUST = "GEOSEG_TRUST"
"""See `geoseg.raster.opening.trust`, which is not imported here for its time."""
_LEVEL = "geoseg.verbosity"
_DEBUG = {"on": False}


def _meta(ctx: click.Context) -> dict[str, Any]:
    return ctx.find_root().meta


def _set_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        _DEBUG["on"] = True


def _set_trust(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        # Where processes that this one starts find it as well.
        before = os.environ.get(TRUST)
        os.environ[TRUST] = "1"
        ctx.call_on_close(
            lambda: os.environ.pop(TRUST) if before is None else os.environ.update({TRUST: before})
        )


def _set_level(step: int) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            _meta(ctx)[_LEVEL] = step

    return callback


def debugging() -> bool:
    """Whether the user asked for tracebacks."""
    return _DEBUG["on"]


def verbosity() -> int:
    """−1 quiet, 0 normal, 1 verbose."""
    ctx = click.get_current_context(silent=True)
    return 0 if ctx is None else int(_meta(ctx).get(_LEVEL, 0))


def common_options(function: F) -> F:
    """Add ``-v``, ``-q``, ``--debug`` and ``--trust``, which every command has; send outputs."""
    function = with_sending(note)(function)
    for option in (
        click.option(
            "--trust",
            is_flag=True,
            expose_value=False,
            callback=_set_trust,
            help="Let rasters, catalogs and recipes from elsewhere lead to files of this machine.",
        ),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_set_debug,
            help="Print a traceback when something fails.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=_set_level(-1),
            help="No progress and no notes on standard error.",
        ),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            callback=_set_level(1),
            help="Say more on standard error.",
        ),
    ):
        function = option(function)
    return function


def output_option(what: str, *, required: bool = True) -> Callable[[F], F]:
    """``-o/--output``; `what` ends its help text."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(),
        required=required,
        metavar="PATH",
        help=f"Where to write {what}.",
    )


def overwrite_option(function: F) -> F:
    """``--overwrite``."""
    return click.option(
        "--overwrite",
        is_flag=True,
        help="Replace the output if it is there; else that is an error.",
    )(function)


def json_option(function: F) -> F:
    """``--json``, as the parameter `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the summary as one JSON object."
    )(function)


def workers_option(function: F) -> F:
    """``--workers``: threads that read and prepare pixels."""
    return click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=None,
        metavar="N",
        help="Threads that read and prepare pixels [default: one a processor].",
    )(function)


def device_option(function: F) -> F:
    """``--device``."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="DEVICE",
        help="Where the network runs: auto, cpu, cuda, cuda:N or mps.",
    )(function)


def precision_option(function: F) -> F:
    """``--precision``."""
    return click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="auto: bfloat16 where it is fast, else float32.",
    )(function)


def blend_option(function: F) -> F:
    """``--blend``: how overlapping tiles weigh."""
    return click.option(
        "--blend",
        type=click.Choice(["mean", "hann", "gaussian"]),
        default="hann",
        show_default=True,
        help="How overlapping tiles weigh: alike, or more towards their centre.",
    )(function)


def tta_option(function: F) -> F:
    """``--tta``."""
    return click.option(
        "--tta", is_flag=True, help="See each tile in its eight symmetries: better, 8 times slower."
    )(function)


def min_area_option(function: F) -> F:
    """``--min-area``, as text; see `geoseg.inference.settings.parse_area`."""
    return click.option(
        "--min-area",
        metavar="AREA",
        help="Give connected patches of a class smaller than this (3500px, 0.5ha, 450m2) to their"
        " largest neighbour.",
    )(function)


def batch_size_option(function: F) -> F:
    """``--batch-size`` of a prediction."""
    return click.option(
        "--batch-size",
        type=click.IntRange(1),
        help="Tiles computed together at most; halved where memory does not suffice [default: 1 on"
        " the processor, on a card what fits].",
    )(function)


def compile_option(function: F) -> F:
    """``--compile`` of a prediction."""
    return click.option(
        "--compile",
        is_flag=True,
        help="Compile the network for this machine first: some minutes, then faster tiles.",
    )(function)


def seed_option(function: F) -> F:
    """``--seed``."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="Same seed, same result.",
    )(function)


def _split_names(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(part.strip() for part in value.split(","))
    if not all(names):
        raise click.BadParameter(f"'{value}' holds an empty name")
    return names


def bands_option(function: F) -> F:
    """``--bands`` (which to use) and ``--band-names`` (what unnamed bands are called)."""
    function = click.option(
        "--band-names",
        callback=_split_names,
        metavar="NAME,…",
        help="What the scene's bands are called, in order, where the file does not say.",
    )(function)
    return click.option(
        "--bands",
        callback=_split_names,
        metavar="NAME,…",
        help="Bands to use, by name and in this order [default: all].",
    )(function)


def region_option(function: F) -> F:
    """``--region``: where to work."""
    return click.option(
        "--region",
        metavar="POLYGONS",
        help="Work inside these polygons only: a vector file, or xmin,ymin,xmax,ymax in the"
        " scene's coordinates.",
    )(function)


class _OneSpelling(click.Option):
    """An option with a second spelling that help does not show."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return what help says, of the first spelling alone."""
        spellings = self.opts
        self.opts = spellings[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = spellings


def homogenise_option(**settings: Any) -> Callable[[F], F]:
    """``--homogenise``, spelled the American way too; `settings` are those of `click.option`."""
    return click.option("--homogenise", "--homogenize", "homogenise", cls=_OneSpelling, **settings)


def model_colour_option(function: F) -> F:
    """``--homogenise`` of what is done with models."""
    return homogenise_option(
        default="model",
        show_default=True,
        metavar="model|none|FILE",
        help="Colour that the scene is brought to first: that of the scenes that the model learned"
        " from, where these were homogenised; none; or what geoseg homogenise saved.",
    )(function)


def spelled(name: str) -> str:
    """Return a parameter's name as its option is typed: ``labels_band``, ``--labels-band``."""
    return f"--{name.replace('_', '-')}"


@contextmanager
def usage() -> Iterator[None]:
    """Say how the command is used where what is asked does not go together."""
    try:
        yield
    except OptionError as error:
        said = str(error)
        raise click.UsageError(f"{said[:1].upper()}{said[1:]}.") from None


def worker_count(workers: int | None) -> int:
    """Return the number of threads to use; see `geoseg.processors.thread_count`."""
    from geoseg.processors import thread_count  # noqa: PLC0415 — where a command runs

    return thread_count(workers)


def class_lines(pixels: Mapping[str, int], hectares: Mapping[str, float] | None) -> list[str]:
    """Lay out how much of a map each class has, a line a class."""
    labelled = sum(pixels.values())
    width = max((len(name) for name in pixels), default=0)
    lines = []
    for name, count in pixels.items():
        area = "" if hectares is None else f"  {hectares[name]:14,.1f} ha"
        lines.append(f"  {name:<{width}}  {100 * count / max(labelled, 1):6.2f} %{area}")
    return lines


def note(text: str) -> None:
    """Say something on standard error that is not an error; silent with ``-q``."""
    if verbosity() >= 0:
        click.echo(shown(text), err=True)


def remark(said: str) -> None:
    """Say what a user should know: a sentence without its full stop; silent with ``-q``."""
    note(f"Note: {said}.")


def detail(text: str) -> None:
    """Say something on standard error with ``-v`` alone."""
    if verbosity() >= 1:
        click.echo(shown(text), err=True)


def _plain(value: Any) -> Any:
    """Replace what JSON has no word for: NaN and infinities become null, tuples lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return _plain(value.item())
    return value


def emit(summary: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a command's summary on standard output: as text, or as one JSON object."""
    send()
    if as_json:
        text = json.dumps(_plain(summary), ensure_ascii=False, allow_nan=False)
    click.echo(shown(text))


def shown(text: str) -> str:
    """Name outputs by where they go, addresses without secrets, and steer no terminal."""
    return harmless(without_secrets(spoken(text)))
