"""The command line: one file a command, no work of its own.

Importing this package costs click and nothing else; a command imports what it needs when it runs.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import click

from geoseg import __version__
from geoseg.cli.options import common_options, debugging
from geoseg.errors import GeosegError, on_one_line, without_secrets

_COMMANDS = (
    "info",
    "composite",
    "homogenise",
    "pansharpen",
    "check",
    "recode",
    "rasterise",
    "tile",
    "train",
    "predict",
    "cam",
    "coverage",
    "evaluate",
    "vectorise",
    "export",
    "run",
    "demo",
)
"""Commands in the order in which pixels travel; each is `command` in the module of its name."""
_OTHER_SPELLINGS = {
    "homogenize": "homogenise",
    "rasterize": "rasterise",
    "vectorize": "vectorise",
}
"""Accepted, and not listed."""


_REFUSED = re.compile(
    "can't start new thread|failed to map segment|[Cc]annot allocate memory|std::bad_alloc"
)


class _Commands(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = _OTHER_SPELLINGS.get(cmd_name, cmd_name)
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"geoseg.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"geoseg.cli.{cmd_name}.command is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1) if args else []
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean '{near[0]}'?", ctx) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="geoseg")
@common_options
def geoseg() -> None:
    """Turn satellite and aerial scenes into maps.

    \b
    A first map, with nothing but geoseg installed:
      geoseg demo

    \b
    From your own scene and labels to a map:
      geoseg tile scene.tif --labels labels.tif -o patches
      geoseg train patches -o model.safetensors
      geoseg predict scene.tif --model model.safetensors -o map.tif
      geoseg evaluate map.tif labels.tif
    """


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, _leave)
    raise KeyboardInterrupt


def _ask_again(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal once more that came where Python can raise nothing, as in compilers' callbacks.

    It would be forgotten, and what it raised be printed.
    """
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = int(signal.SIGINT)
        signal.signal(number, _interrupt)
    elif isinstance(lost.exc_value, SystemExit) and isinstance(lost.exc_value.code, int):
        number = lost.exc_value.code - 128
    else:
        sys.__unraisablehook__(lost)
        return
    again = threading.Timer(0.05, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _leave(signum: int, frame: FrameType | None) -> None:
    """End at once: who presses Ctrl-C again does not want to wait for threads to come back."""
    with suppress(OSError):
        os.write(2, b"\nInterrupted again; it ended at once.\n")
    if "geoseg.raster.outputs.temporary" in sys.modules:
        sys.modules["geoseg.raster.outputs.temporary"].remove_temporary()
    os._exit(128 + signum)


def _have_streams() -> None:
    """Put nothing in the place of streams that were closed before: else a file takes their place.

    It would then get what a library has to say to the terminal.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            # Of the interpreter as long as it lives.
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115


def _take_signals() -> None:
    """Have a killed run clean up behind itself like an interrupted one."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has not both
        # What is ignored stays so: nohup asks for that.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _terminate)
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _ask_again


def _fail(message: str) -> None:
    text = on_one_line(without_secrets(" ".join(message.split())))
    click.echo(f"Error: {text}", err=True)
    if debugging():
        traceback.print_exc()


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status.

    Parameters
    ----------
    args
        Words after the program's name; by default those of the process.

    Notes
    -----
    Status 0 done, 1 failed, 2 wrong usage, 130 interrupted. A failure is one line on standard
    error; its traceback is printed with ``--debug`` alone.
    """
    _have_streams()
    _take_signals()
    sys.exit(_run(args))


def _run(args: Sequence[str] | None) -> int:
    """Run the command line and return its exit status."""
    try:
        result: Any = geoseg.main(
            args=None if args is None else list(args), prog_name="geoseg", standalone_mode=False
        )
        sys.stdout.flush()
    except click.Abort:
        click.echo("Interrupted; nothing half-written was left behind.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except GeosegError as error:
        _fail(str(error))
        return error.exit_code
    except BrokenPipeError:
        # Who read our output has left; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _failed(error)
    return result if isinstance(result, int) else 0


def _failed(error: Exception) -> int:
    """Say in one line what nobody has put into words; return the exit status."""
    if _lacks_memory(error):
        _fail(
            "out of memory; use fewer --workers, smaller tiles or batches, or close other programs"
        )
    elif isinstance(error, OSError):
        full = error.errno == errno.ENOSPC
        advice = (
            "free some space or choose another output folder"
            if full
            else "check the path and its permissions"
        )
        where = f" {error.filename}" if error.filename else ""
        _fail(f"{error.strerror or error}{where}; {advice}")
    elif isinstance(error, UnicodeEncodeError):
        odd = str(error.object)[error.start : error.end].encode("unicode_escape").decode()
        _fail(
            f"a name or path holds what is no text here ({odd}); rename it, or work in a locale of"
            " UTF-8 (LC_ALL=C.UTF-8)"
        )
    else:
        _fail(
            f"unexpected {type(error).__name__}: {error};"
            " this is a defect of geoseg, run again with --debug to see where"
        )
    return 1


def _lacks_memory(error: BaseException) -> bool:
    """Tell whether the system refused memory, whoever asked for it: libraries say it in words."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return False
        refused = isinstance(cause, OSError) and cause.errno == errno.ENOMEM
        if isinstance(cause, MemoryError) or refused or _REFUSED.search(str(cause)):
            return True
        if isinstance(cause, OSError) and cause.errno:
            return False  # it has a reason of its own, whatever else was being dealt with
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False
