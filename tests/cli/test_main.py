"""The command line as such: help, errors, exit statuses, what it imports."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import click
import pytest

from geoseg import __version__, cli
from geoseg.cli import _run, geoseg
from geoseg.errors import InputError, OptionError


@pytest.fixture
def failing(monkeypatch):
    """Make every command raise what the test says."""

    def install(error):
        @click.command()
        def command():
            raise error

        monkeypatch.setattr(type(geoseg), "get_command", lambda *_: command)

    return install


def test_help_lists_every_command(capsys):
    assert _run(["--help"]) == 0
    out = capsys.readouterr().out
    for name in cli._COMMANDS:
        assert f"\n  {name} " in out


def test_version_is_printed(capsys):
    assert _run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(capsys):
    assert _run(["predcit"]) == 2
    assert "Did you mean 'predict'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_every_command_has_help_with_an_example_and_the_common_options(name, capsys):
    assert _run([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example" in out
    assert f"geoseg {name} " in out
    for option in ("--quiet", "--verbose", "--debug", "--json"):
        assert option in out


def _raised(error: Exception, *, during: Exception, alone: bool = False) -> Exception:
    """Return an error as it is while another one is dealt with."""
    error.__context__ = during
    error.__suppress_context__ = alone
    return error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("scene.tif: band\nmissing"), 1, "Error: scene.tif: band missing\n"),
        (OptionError("both"), 2, "Error: both\n"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (OSError(28, "No space left on device", "out"), 1, "free some space"),
        (MemoryError(), 1, "out of memory"),
        (_raised(ValueError("odd"), during=MemoryError()), 1, "out of memory"),
        (_raised(ValueError("odd"), during=MemoryError(), alone=True), 1, "unexpected ValueError"),
        (_raised(OSError(28, "full", "out"), during=MemoryError()), 1, "free some space"),
        (ValueError("odd"), 1, "unexpected ValueError: odd; this is a defect of geoseg"),
    ],
)
def test_errors_are_one_line_and_a_status(failing, capsys, error, status, words):
    failing(error)
    assert _run(["info"]) == status
    err = capsys.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_debug_adds_the_traceback(failing, capsys, monkeypatch):
    monkeypatch.setitem(cli.options._DEBUG, "on", False)
    failing(InputError("no"))
    assert _run(["--debug", "info"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_help_costs_little_more_than_click():
    """Held by what is imported, not by a clock."""
    code = (
        "import sys\n"
        "from geoseg.cli import _run\n"
        "_run(['--help'])\n"
        "heavy = {'numpy', 'torch', 'rasterio', 'geopandas', 'numba', 'tqdm', 'shapely'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_terminated_run_unwinds_like_an_interrupted_one(tmp_path):
    """Whoever holds temporary files lets go of them."""
    code = (
        "import sys, time, click\n"
        "from geoseg import cli\n"
        "@click.command()\n"
        "def command():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(30)\n"
        "    finally:\n"
        "        print('let go', flush=True)\n"
        "type(cli.geoseg).get_command = lambda self, ctx, name: command\n"
        "cli.main(['info'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.terminate()
    out, _ = process.communicate(timeout=20)
    assert out == "let go\n"
    assert process.returncode == 128 + signal.SIGTERM
