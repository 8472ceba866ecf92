"""A command called from Python, in place of a shell."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
from collections.abc import Sequence
from typing import Any

import click

from geoseg.cli import geoseg
from geoseg.errors import OptionError

_INTERRUPTED = 130
"""Status of a command that was interrupted, and has said so."""


class _Own(io.StringIO):
    """Keeps what the thread that made it prints; what others print goes where it went before.

    Standard output is of the whole process, and a line of another thread would spoil the JSON.
    """

    def __init__(self) -> None:
        super().__init__()
        self._owner, self._before = threading.get_ident(), sys.stdout

    def write(self, text: str, /) -> int:
        """Take what is printed."""
        if threading.get_ident() == self._owner:
            return super().write(text)
        return self._before.write(text)


def call(words: Sequence[str], *, quiet: bool) -> dict[str, Any]:
    """Run a command, and return what it prints with ``--json``.

    Parameters
    ----------
    words
        The command and what follows its name, without ``--json``.
    quiet
        Whether it says nothing on standard error.

    Raises
    ------
    GeosegError
        As the command; wrong usage is an OptionError.
    KeyboardInterrupt
        It was interrupted.
    """
    printed = _Own()
    given = [*words, "--json", *(["--quiet"] if quiet else [])]
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(printed))
            if quiet:  # steps of recipes tell their results there
                stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            status = geoseg.main(args=given, prog_name="geoseg", standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        raise OptionError(error.format_message()) from error
    if status == _INTERRUPTED:
        raise KeyboardInterrupt
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found
