"""Ctrl-C, once and twice, and other signals at any moment."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Iterable
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")

CONV = "torch.nn.modules.conv:Conv2d.forward"
MAPS = "geoseg.inference.members:Ensemble.maps"
NOTE = "geoseg.raster.outputs.unfinished:Unfinished.note_finished"
WRITE = "geoseg.raster.cog.spool:Spool.write_at"
BEGUN = {
    "tile": (NOTE, 9),
    "predict": (MAPS, 130),
    "composite": (WRITE, 2),
    "homogenise": (WRITE, 9),
    "coverage": (WRITE, 9),
    "cam": (CONV, 30),
}
MAIN = ("geoseg.raster.cog.writer:RasterWriter.__enter__", 1)
"""A call in the main thread."""
KILL = "import os; os.kill(os.getpid(), signal.{})"


def some_slow(names: Iterable[str], *quick: str) -> list[Any]:
    """All names for a test, those that a quick check leaves out marked."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", some_slow(BEGUN, "tile", "predict"))
@pytest.mark.parametrize(("sent", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_command_with_nothing_lost(
    checked: Any, name: str, sent: str, status: int
) -> None:
    said = checked.fails(name, status=status, faults=[(*BEGUN[name], KILL.format(sent))])
    kept = [p.name for p in checked.out.iterdir() if p.name.startswith(".")]
    if sent == "SIGINT" and not kept:
        assert said.split("\n")[-2] == "Interrupted; nothing half-written was left behind."
    if kept:
        assert "--resume goes on from there" in said
    checked.again(name)


def test_a_training_that_is_interrupted_goes_on(checked: Any) -> None:
    said = checked.fails("train", status=130, faults=[(CONV, 30, KILL.format("SIGINT"))])
    assert "Interrupted; the same command with --resume goes on from here." in said
    checked.again("train")


@pytest.mark.parametrize("name", some_slow(BEGUN, "tile", "cam"))
def test_a_second_ctrl_c_ends_at_once(checked: Any, name: str) -> None:
    # What cleans up is slow, so that the second comes into it.
    where, number = BEGUN[name]
    (checked.out / "before.txt").write_text("was there before")
    ended = checked.run(
        name,
        checked.out,
        before="import os, concurrent.futures as cf\n"
        "whole = cf.ThreadPoolExecutor.shutdown\n"
        "def slow(self, *given, **named):\n"
        "    if stopped: os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
        "    whole(self, *given, **named)\n"
        "stopped = []\n"
        "cf.ThreadPoolExecutor.shutdown = slow",
        faults=[(where, number, f"stopped.append(1); {KILL.format('SIGINT')}; time.sleep(0.2)")],
    )
    assert ended.status == 130
    assert ended.seconds < 30
    assert "Traceback" not in ended.err
    assert "Interrupted again; it ended at once." in ended.err
    assert {p.name for p in checked.out.iterdir() if not p.name.endswith(".part")} == {"before.txt"}
    checked.again(name)


def test_a_signal_that_is_ignored_stays_ignored(checked: Any) -> None:
    ended = checked.run(
        "coverage",
        checked.out,
        before="signal.signal(signal.SIGHUP, signal.SIG_IGN)",
        faults=[(*BEGUN["coverage"], KILL.format("SIGHUP"))],
    )
    assert ended.status == 0
    assert checked.contents() == checked.whole("coverage")


@pytest.mark.parametrize(("sent", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_in_a_callback_of_c_is_not_lost(checked: Any, sent: str, status: int) -> None:
    # Python prints what is raised there, and goes on.
    callback = (
        "import ctypes\n"
        "def called():\n"
        f"    {KILL.format(sent)}; time.sleep(0.01); return 0\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(called)(); time.sleep(0.3)"
    )
    said = checked.fails("coverage", status=status, faults=[(*MAIN, callback)])
    assert "ignored" not in said
    checked.again("coverage")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BEGUN, "vectorise", "train"])
def test_signals_at_random_moments_lose_nothing(checked: Any, name: str) -> None:
    draw = random.Random(name)
    whole = checked.whole(name)
    for _ in range(10):
        numbers = draw.choices([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], k=2)
        ended = checked.run(
            name,
            checked.out,
            *([] if not list(checked.out.iterdir()) else ["--overwrite"]),
            signals=[(draw.uniform(0, 0.5), numbers[0]), (draw.uniform(0, 0.05), numbers[1])],
        )
        assert "Traceback" not in ended.err
        # -6, -11: torch's modules do not bear an exception while they are being imported.
        assert ended.status in (0, 130, 143, 129, -9, -15, -1, -2, -6, -11)
        made = {k: v for k, v in checked.contents().items() if not k.startswith(".")}
        assert all(made[key] == whole[key] for key in made)
    ended = checked.run(name, checked.out, "--overwrite")
    assert ended.status == 0, ended.err
    assert checked.contents() == whole
    assert not [p for p in checked.out.iterdir() if p.name.startswith(".")]
