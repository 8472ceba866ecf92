"""``geoseg composite --earth-engine`` where something goes wrong: one line, and nothing lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ee
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "compositing" / "earthengine"))

from earthengine_command import PLACE, WHEN, command_of, three_dates, typed
from earthengine_server import Fault, clean_client, serve
from earthengine_world import LC08

from geoseg.compositing.earthengine import client, export


@pytest.fixture
def world():
    return three_dates()


@pytest.fixture
def url(world):
    with clean_client(), serve(world) as address:
        yield address


@pytest.fixture
def run(url, tmp_path, capsys, monkeypatch):
    return command_of(url, tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize("fault", [Fault(503), Fault(429, "Too many requests.")])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_every_third_request_may_fail_from_the_very_first_on(run, world, tmp_path, fault, failing):
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands red --request-size 128 --workers 2"
    world.collections["A/MAP"] = world.collections[LC08][:1]
    line += " --labels-collection A/MAP --labels-band QA_RADSAT --labels-output l.tif --overwrite"
    assert run(f"{line} -o whole.tif")[0] == 0
    world.requests = 0
    world.fault = lambda _, number: fault if number % 3 == failing else None
    with clean_client():  # as in a process of its own
        ee.Reset()
        status, _, err = run(f"{line} -o a.tif")
    assert (status, err) == (0, "")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert world.requests > 12


def test_an_absurd_grid_is_refused_at_once_and_without_a_request(run, world, tmp_path):
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands red --scale 0.001"
    for more in ("-o a.tif", "--export drive"):
        status, out, err = run(f"{line} {more}")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("Error: 2,130,000 × 11,510,000 px are ")
    assert world.requests == 0
    assert list(tmp_path.iterdir()) == []


def test_a_long_wait_is_told_once_and_not_with_quiet(run, world, monkeypatch):
    monkeypatch.setattr(client.Asker, "__init__", _hurried(client.Asker.__init__))
    seen = []

    def fault(path, _):
        with world.lock:
            if "Pixels" not in path or len(seen) == 8:
                return None
            seen.append(path)
        return Fault(503, headers={"Retry-After": "8"})

    world.fault = fault
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands red --request-size 64 --workers 4"
    status, _, err = run(f"{line} -o a.tif")
    assert (status, len(seen)) == (0, 8)
    assert err == "Note: no answer from Earth Engine (503), trying again in 8 s.\n"
    seen.clear()
    assert run(f"{line} -o b.tif -q")[::2] == (0, "")
    assert len(seen) == 8


def _hurried(init):
    """Never wait."""

    def hurried(self, *given, **more):
        init(self, *given, **more)
        self.stop.wait = lambda _: None

    return hurried


def test_a_server_that_is_not_there_is_one_clear_line(run, tmp_path):
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands red -o a.tif"
    status, out, err = run(f"{line} --earth-engine-url http://127.0.0.1:9")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "http://127.0.0.1:9 in 4 tries, the last time: Connection refused; " in err
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_at_any_size_is_the_servers_words(run, world, tmp_path):
    world.fault = lambda path, _: Fault(400, "Wrong.") if "Pixels" in path else None
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands red -o a.tif --workers 1"
    status, _, err = run(line)
    assert (status, err.count("\n")) == (1, 1)
    assert "Wrong (status 400)" in err
    assert "http" not in err
    assert list(tmp_path.iterdir()) == []


def test_going_on_with_other_options_is_one_line_in_words_of_options(run, world):
    world.fault = lambda path, _: (
        Fault(403, "No more.") if "Pixels" in path and len(world.pixels) > 4 else None
    )
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --request-size 32 -o a.tif --workers 1"
    assert run(f"{line} --bands red")[0] == 1
    world.fault = lambda *_: None
    status, _, err = run(f"{line} --bands blue,red --resume")
    assert (status, err.count("\n")) == (1, 1)
    assert "(--bands: red then, blue,red now)" in err
    assert "keeps" not in err
    status, _, err = run(f"{line} --bands red")
    assert (status, err.count("\n")) == (1, 1)
    assert "go on with --resume" in err
    world.fault = lambda *_: Fault(403, "Not today.")
    err = run(f"{line} --bands red --resume")[2]
    assert "keeps what was fetched" in err


def test_an_interruption_ends_soon_keeps_what_was_fetched_and_says_so_in_one_line(
    run, url, world, tmp_path
):
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands blue,red --request-size 32 --workers 2"
    assert run(f"{line} -o whole.tif")[0] == 0
    total = len(world.pixels)
    world.pixels.clear()
    over, waiting = threading.Event(), threading.Semaphore(0)

    def never(path, _):
        if "Pixels" in path and len(world.pixels) >= 5:
            waiting.release()
            over.wait(120)

    world.fault = never
    words = typed(f"{line} -o a.tif", url)[3:]
    code = (  # what is started in the background may have been told to ignore interruptions
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"from geoseg.cli import main; main({words!r})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        for _ in range(2):
            assert waiting.acquire(timeout=60)
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - before < 20
    finally:
        over.set()
        process.kill()
    folder = Path(".a.tif.part")
    assert process.returncode == 130
    assert err.strip() == (
        f"Interrupted; {folder} keeps what was fetched; --resume goes on from there."
    )
    kept = len(list(folder.glob("*.npy")))
    assert kept >= 5
    while world.is_busy:  # with what nobody waits for
        time.sleep(0.01)
    world.fault = lambda *_: None
    world.pixels.clear()
    assert run(f"{line} -o a.tif --resume")[0] == 0
    assert len(world.pixels) == total - kept
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_an_interrupted_export_says_that_its_tasks_go_on(run, world, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "export", interrupted)
    status, out, err = run(f"--earth-engine {LC08} {WHEN} {PLACE} --bands red --export drive")
    assert (status, out) == (130, "")
    assert err.strip() == "Interrupted; tasks that were started go on without geoseg."
