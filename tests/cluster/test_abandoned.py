"""Workers that fall silent or join late, commands that are killed, and what they leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cluster_tasks as work
import pytest
from distributed import Client
from distributed.comm.core import CommClosedError
from machines import dask_worker, scheduler

from geoseg.cluster import local
from geoseg.cluster.asking import Asking, _Asked
from geoseg.cluster.cluster import Cluster
from geoseg.cluster.heard import Heard
from geoseg.cluster.trouble import InWords
from geoseg.errors import ClusterError
from geoseg.locks import lock

ONE = ("--nthreads", "1")


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- workers that are frozen ------------------------------------------------------------------


def freeze_one_with_results(cluster: Cluster, found, folder: Path) -> str:
    """Take one result, wait until the others are ready, and stop a worker that has some."""
    assert next(found) == (0, 0)
    wait_until(lambda: len(list(folder.glob("[1-5]-*"))) == 5)
    wait_until(lambda: not any(cluster._reached.client.processing().values()))
    made_by = {path.name.split("-")[0]: path.name.split("-")[1] for path in folder.iterdir()}
    os.kill(int(made_by["5"]), signal.SIGSTOP)
    return made_by["5"]


def test_what_a_frozen_worker_has_is_computed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.cluster.asking._FETCH_SECONDS", 0.5)
    monkeypatch.setattr("geoseg.cluster.reached._LEAVE_SECONDS", 0.5)
    with (
        scheduler() as (address, _),
        dask_worker(address, tmp_path / "a", *ONE),
        dask_worker(address, tmp_path / "b", *ONE),
    ):
        folder = tmp_path / "begun"
        folder.mkdir()
        with Cluster.open(address, patience=20) as cluster:
            wait_until(lambda: cluster.slots == 2)
            found = cluster.ordered(work.dies_sometimes, folder, range(9), ahead=6)
            frozen = freeze_one_with_results(cluster, found, folder)
            assert list(found) == [(item, item * item) for item in range(1, 9)]
        begun = {tuple(path.name.split("-")[:2]) for path in folder.iterdir()}
        assert ("5", frozen) in begun
        assert {item for item, worker in begun if worker != frozen} >= set("5678")


def test_a_result_that_nobody_can_have_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.cluster.asking._FETCH_SECONDS", 0.2)
    monkeypatch.setattr("geoseg.cluster.reached._LEAVE_SECONDS", 0.5)
    with scheduler() as (address, _), dask_worker(address, tmp_path / "a", *ONE):
        folder = tmp_path / "begun"
        folder.mkdir()
        with Cluster.open(address, patience=20) as cluster:
            found = cluster.ordered(work.dies_sometimes, folder, range(6), ahead=6)
            freeze_one_with_results(cluster, found, folder)
            with pytest.raises(ClusterError, match=r"does not come from the worker tcp:") as told:
                next(found)
    assert "\n" not in str(told.value)


def test_a_worker_that_is_frozen_at_an_item_is_gone_around(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.cluster.heard._SILENT_SECONDS", 3.0)
    monkeypatch.setattr("geoseg.cluster.heard._LOOK_SECONDS", 0.5)
    monkeypatch.setattr("geoseg.cluster.reached._LEAVE_SECONDS", 0.5)
    with (
        scheduler() as (address, _),
        dask_worker(address, tmp_path / "a", *ONE),
        dask_worker(address, tmp_path / "b", *ONE) as one,
    ):
        folder = tmp_path / "begun"
        folder.mkdir()
        with Cluster.open(address, patience=20) as cluster:
            wait_until(lambda: cluster.slots == 2)
            found = cluster.ordered(work.dies_sometimes, folder, range(30), ahead=4)
            assert next(found) == (0, 0)
            one.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            assert list(found) == [(item, item * item) for item in range(1, 30)]
            assert time.monotonic() - began < 40  # dask itself waits for five minutes


@pytest.mark.slow
def test_a_list_begins_although_a_worker_is_frozen_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.cluster.heard._SILENT_SECONDS", 1.5)
    monkeypatch.setattr("geoseg.cluster.heard._LOOK_SECONDS", 0.3)
    monkeypatch.setattr("geoseg.cluster.reached._GRACE_SECONDS", 0.3)
    monkeypatch.setattr("geoseg.cluster.reached._LOOK_SECONDS", 0.2)
    monkeypatch.setattr("geoseg.cluster.asking._LOOK_SECONDS", 0.2)
    with (
        scheduler() as (address, _),
        dask_worker(address, tmp_path / "a", *ONE),
        dask_worker(address, tmp_path / "b", *ONE) as one,
    ):
        with Client(address, set_as_default=False) as client:
            wait_until(lambda: len(client.nthreads()) == 2)
        one.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with Cluster.open(address, patience=20) as cluster:
            for _ in range(2):
                found = cluster.ordered(work.refuses_three, None, [0, 1, 2, 4, 5], ahead=2)
                assert list(found) == [0, 1, 2, 4, 5]
        assert time.monotonic() - began < 40  # dask itself waits for five minutes


def test_a_scheduler_that_is_busy_is_waited_for(tmp_path, monkeypatch):
    with (
        scheduler() as (address, process),
        dask_worker(address, tmp_path / "a", *ONE),
        Cluster.open(address, patience=20),
    ):
        monkeypatch.setattr("geoseg.cluster.reached._KNOCK_SECONDS", 0.3)
        process.send_signal(signal.SIGSTOP)
        later = threading.Timer(1.5, process.send_signal, [signal.SIGCONT])
        later.start()
        with Cluster.open(address, patience=20) as cluster:
            assert list(cluster.ordered(work.threads, None, [0])) == [1]
        later.join()


class Future:
    """Of dask, as far as it is looked at."""

    def __init__(self, key: str, status: str = "pending", result: object = None) -> None:
        self.key, self.status, self._result = key, status, result

    def done(self) -> bool:
        return self.status != "pending"

    def result(self, timeout: float) -> object:
        assert timeout
        return self._result


def test_what_a_silent_worker_made_after_all_is_taken_when_it_is_heard_of_again():
    asked: list[Future] = []

    def submit(_item: int, workers: object) -> Future:
        assert workers == (None if not asked else ["b"])
        asked.append(Future(str(len(asked))))
        return asked[-1]

    silent = {"a"}
    reached = SimpleNamespace(
        heard=SimpleNamespace(silent=lambda: silent),
        threads=lambda: {"a": 1, "b": 1},
        holders=lambda _futures: {},
        under_way=lambda _workers: {"0": "a"} if silent else {},
        in_words=contextlib.nullcontext,
        fetched=Future.result,
    )
    asking = Asking(reached, submit, 9)
    silent = set()
    one = _Asked(7, submit(7, None))
    asking._asked.append(one)
    silent = {"a"}
    asking._ask_others()
    assert one.future is asked[1]
    asking._ask_others()  # no more often than it falls silent
    assert one.earlier == [(asked[0], "a")]
    asked[0].status, asked[0]._result = "finished", "of a"
    asking._look_back([one])
    assert one.future is asked[1]  # it cannot be fetched while that is silent
    silent = set()
    asking._look_back([one])
    asking._take(one)
    assert (one.answer, one.future, one.earlier) == ("of a", None, [])


def test_who_tells_nothing_new_for_long_is_silent_until_it_does(monkeypatch):
    now, told = [0.0], {"a": 1.0, "b": 7.0}
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    heard = Heard(lambda: dict(told))
    assert heard.silent() == set()
    for moment in (30.0, 59.0):
        now[0] = moment
        told["a"] += 1
        assert heard.silent() == set()
    now[0] = 61.0
    told["a"] -= 0.5  # a clock that is set back has been heard of as well
    assert heard.silent() == {"b"}
    now[0] = 62.0
    told["b"] = 7.5
    assert heard.silent() == {"b"}  # the scheduler is asked now and then
    now[0] = 67.0
    assert heard.silent() == set()


def test_after_a_pause_of_this_process_nobody_is_taken_for_silent(monkeypatch):
    now, told = [0.0], {"a": 1.0, "b": 1.0}
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    heard = Heard(lambda: dict(told))
    assert heard.silent() == set()
    now[0], told["a"], told["b"] = 1000.0, 2.0, 2.0
    assert heard.silent() == set()


# -- workers that join late -------------------------------------------------------------------


def test_a_worker_of_another_torch_that_joins_late_is_refused(tmp_path):
    told_by_pip = tmp_path / "other" / "torch-0.0.9.dist-info" / "METADATA"
    told_by_pip.parent.mkdir(parents=True)
    told_by_pip.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.0.9\n")
    with (
        scheduler() as (address, _),
        dask_worker(address, tmp_path / "a", *ONE) as first,
        Cluster.open(address, packages=("torch",), patience=20) as cluster,
    ):
        assert list(cluster.ordered(work.threads, None, [0])) == [1]
        with dask_worker(address, tmp_path / "b", *ONE, first_in_path=str(tmp_path / "other")):
            wait_until(lambda: cluster.slots == 2)
            first.kill()
            wait_until(lambda: cluster.slots == 1)
            with pytest.raises(ClusterError, match=r"has torch 0\.0\.9, here .*: install the same"):
                list(cluster.ordered(work.threads, None, [0]))
        # And where it is there from the start, before anything is done.
        with (
            dask_worker(address, tmp_path / "c", *ONE, first_in_path=str(tmp_path / "other")),
            pytest.raises(ClusterError, match=r"has torch 0\.0\.9, here .*: install the same"),
        ):
            Cluster.open(address, packages=("torch",), patience=20)


# -- commands that are killed -----------------------------------------------------------------

_KEEPS = """
import sys, time
from geoseg.cluster.cluster import Cluster
from geoseg.cluster.heard import Heard
def main():
    with Cluster.open(sys.argv[1]) as cluster:
        cluster.keep([1] * 1000)
        cluster.keep([2] * 1000)
        print("sent", flush=True)
        time.sleep(60)
if __name__ == "__main__":
    main()
"""


def _held_by_worker() -> int:
    from geoseg.cluster import worker  # noqa: PLC0415 - sent to a worker

    return len(worker._held)


def _held_by_scheduler(dask_scheduler) -> int:
    return sum(name.startswith("geoseg-") for name in dask_scheduler.worker_plugins)


def test_what_a_killed_command_sent_is_forgotten_everywhere_and_at_once(tmp_path, monkeypatch):
    # What is asked of workers here is sent by its code.
    monkeypatch.setattr(sys.modules[__name__], "__name__", "__main__", raising=True)
    monkeypatch.setattr(_held_by_worker, "__module__", "__main__")
    monkeypatch.setattr(_held_by_scheduler, "__module__", "__main__")
    script = tmp_path / "script.py"
    script.write_text(_KEEPS)
    with (
        scheduler() as (address, _),
        dask_worker(address, tmp_path / "a", *ONE),
        Client(address, set_as_default=False) as client,
        Cluster.open(address, patience=20) as other,
    ):
        other.keep([3])
        process = subprocess.Popen(
            [sys.executable, str(script), address], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "sent\n"
            assert list(client.run(_held_by_worker).values()) == [3]
            assert client.run_on_scheduler(_held_by_scheduler) == 3
        finally:
            process.kill()
            process.communicate()
        # That of who is still there stays.
        wait_until(lambda: client.run_on_scheduler(_held_by_scheduler) == 1)
        wait_until(lambda: list(client.run(_held_by_worker).values()) == [1])


def test_folders_of_killed_commands_are_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "gettempdir", lambda: str(tmp_path))
    names = ("abandoned", "new", "in-use", "without-lock")
    for name in names:
        folder = tmp_path / f"geoseg-cluster-{name}"
        folder.mkdir()
        if name != "without-lock":
            (folder / "lock").touch()
        if name != "new":
            os.utime(folder, (0, 0))
    with lock(tmp_path / "geoseg-cluster-in-use" / "lock", "r+b"):
        local._remove_abandoned()
    left = {path.name.removeprefix("geoseg-cluster-") for path in tmp_path.iterdir()}
    assert left == {*names} - {"abandoned"}


@pytest.mark.parametrize("inherited", [None, "/of/another/cluster"])
def test_a_script_without_a_guard_is_told_in_one_line(inherited, tmp_path, monkeypatch):
    if inherited:
        monkeypatch.setenv(local._FOLDER, inherited)
    script = tmp_path / "script.py"
    script.write_text(
        "from geoseg.cluster.cluster import Cluster\n"
        "from geoseg.errors import ClusterError\n"
        "try: Cluster.open('local', workers=2)\n"
        "except ClusterError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == (
        "no workers could be started here: each of them runs this script from its top; put what it"
        ' does below  if __name__ == "__main__":\n'
    )
    assert done.stderr == ""


# -- what tells that a scheduler is gone ------------------------------------------------------


class Connected:
    status = "running"


class Closed:
    status = "closed"


@pytest.mark.parametrize("client", [Connected(), Closed()])
@pytest.mark.parametrize("error", [CommClosedError("a"), ConnectionResetError("a")])
def test_a_lost_connection_says_that_the_cluster_is_gone(client, error):
    with pytest.raises(ClusterError, match=r"^it is gone \(a\)"), InWords("it", client):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("a"), FileNotFoundError("a"), OSError("a")])
def test_other_trouble_is_told_as_what_it_is_while_the_scheduler_is_there(error):
    with pytest.raises(type(error), match=r"^a$"), InWords("it", Connected()):
        raise error
    with pytest.raises(ClusterError, match=r"^it is gone \(a\)"), InWords("it", Closed()):
        raise error


def test_a_timeout_is_for_who_set_it():
    with pytest.raises(TimeoutError), InWords("it", Closed()):
        raise TimeoutError
