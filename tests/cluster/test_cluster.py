"""Items computed by worker processes come back in order, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cluster_tasks as work
import dask
import pytest
from machines import dask_worker, scheduler

from geoseg.cluster.cluster import Cluster
from geoseg.cluster.local import shared_out
from geoseg.cluster.releases import ALWAYS, releases
from geoseg.errors import ClusterError, OptionError, RasterReadError


def test_results_come_in_the_order_of_the_items(cluster):
    found = list(cluster.ordered(work.slower_at_first, None, range(12)))
    assert [item for item, _ in found] == list(range(12))


def test_both_processes_work_and_neither_is_this_one(cluster):
    processes = {pid for _, pid in cluster.ordered(work.slower_at_first, None, range(20))}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_no_items_give_no_results(cluster):
    assert list(cluster.ordered(work.threads, None, [])) == []


def test_what_is_shared_is_made_once_a_worker(cluster, tmp_path):
    found = list(cluster.ordered(work.multiplied, work.Counted(tmp_path, 3), range(40)))
    assert found == [3 * item for item in range(40)]
    made = [path.name.split("-")[0] for path in tmp_path.iterdir()]
    assert len(made) == len(set(made)) == 2


def test_two_lists_at_a_time_do_not_mix_what_they_share(cluster, tmp_path):
    a = cluster.ordered(work.multiplied, work.Counted(tmp_path, 2), range(10))
    b = cluster.ordered(work.multiplied, work.Counted(tmp_path, 5), range(10))
    assert list(zip(a, b, strict=True)) == [(2 * item, 5 * item) for item in range(10)]


def test_items_are_asked_for_no_more_than_so_many_ahead(cluster):
    asked = []

    def items():
        for item in range(30):
            asked.append(item)
            yield item

    for done, item in enumerate(cluster.ordered(work.threads, None, items(), ahead=5), start=1):
        assert item == 2
        assert len(asked) <= done + 5
    assert len(asked) == 30


def test_who_stops_asking_leaves_the_cluster_in_order(cluster):
    found = cluster.ordered(work.slower_at_first, None, range(1000))
    assert next(found)[0] == 0
    found.close()
    assert list(cluster.ordered(work.threads, None, range(3))) == [2, 2, 2]


def test_an_error_of_ours_comes_through_as_itself(cluster):
    found = cluster.ordered(work.refuses_three, None, range(6))
    assert [next(found), next(found), next(found)] == [0, 1, 2]
    with pytest.raises(RasterReadError) as told:
        next(found)
    assert str(told.value) == "three.tif: not there"


def test_an_error_that_cannot_be_sent_is_told_in_its_words(cluster):
    with pytest.raises(RuntimeError, match="UnsendableError: 1 and 2"):
        list(cluster.ordered(work.unsendable, None, [0]))


@pytest.mark.parametrize(
    ("threads", "processes", "expected"),
    [(1, None, (1, 1)), (2, None, (2, 1)), (4, None, (2, 2)), (16, None, (4, 4)), (5, 1, (1, 5))],
)
def test_threads_are_shared_out_among_processes(threads, processes, expected):
    assert shared_out(threads, processes) == expected


# -- workers that are lost --------------------------------------------------------------------


def test_a_killed_workers_items_are_computed_again_and_no_others(tmp_path):
    kills = 3
    with Cluster.open("local", workers=2) as cluster:
        killed = []

        def kill_in_turn():
            while len(killed) < kills:
                time.sleep(0.3)
                running = sorted(
                    {path.name.split("-")[1] for path in tmp_path.iterdir()} - {*killed}
                )
                if running:
                    pid = running[len(killed) % len(running)]
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                    killed.append(pid)

        killer = threading.Thread(target=kill_in_turn)
        killer.start()
        found = list(cluster.ordered(work.dies_sometimes, tmp_path, range(40)))
        killer.join()
    assert found == [(item, item * item) for item in range(40)]
    begun = len(list(tmp_path.iterdir()))
    # What a worker was at, and what it had ready that nobody had fetched.
    assert 40 <= begun <= 40 + 3 * kills


def test_an_item_that_ends_every_worker_is_one_line(monkeypatch):
    monkeypatch.setattr("geoseg.cluster.asking._ATTEMPTS", 2)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        Cluster.open("local", workers=2) as cluster,
    ):
        found = cluster.ordered(work.ends_its_worker, None, range(3))
        assert next(found) == 0
        with pytest.raises(ClusterError, match="every worker that computes it is killed") as told:
            next(found)
    assert "\n" not in str(told.value)


def test_without_any_worker_left_it_is_one_line(tmp_path):
    with (
        scheduler() as (address, _),
        dask_worker(address, tmp_path, "--nthreads", "2") as process,
        Cluster.open(address, workers=4, patience=20) as cluster,
    ):
        cluster._reached.patience = 1.0
        assert cluster.slots == 2
        found = cluster.ordered(work.threads, None, range(1000), ahead=1)
        assert next(found) == 2  # four threads, two tasks at a time
        process.kill()
        with pytest.raises(ClusterError, match="has had no worker for 1 s") as told:
            list(found)
    assert address in str(told.value)


def test_a_scheduler_that_is_killed_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.cluster.reached._CONNECT_SECONDS", 4.0)
    monkeypatch.setattr("geoseg.cluster.reached._LEAVE_SECONDS", 0.5)
    with (
        scheduler() as (address, process),
        dask_worker(address, tmp_path, "--nthreads", "1"),
        Cluster.open(address, patience=20) as cluster,
    ):
        found = cluster.ordered(work.threads, None, range(100000), ahead=2)
        assert next(found) == 1
        process.kill()
        with pytest.raises(ClusterError, match="is gone") as told:
            list(found)
    assert "\n" not in str(told.value)


def test_a_scheduler_without_workers_is_one_line():
    with scheduler() as (address, _), pytest.raises(ClusterError, match="no worker joined"):
        Cluster.open(address, patience=1.0)


# -- what cannot be opened --------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "here", "localhost:8786", "http://host:8786"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(OptionError, match="is no address"):
        Cluster.open(address)


def test_an_address_where_nobody_answers_is_one_line(monkeypatch):
    monkeypatch.setattr("geoseg.cluster.reached._KNOCK_SECONDS", 1.0)
    with pytest.raises(ClusterError, match="no dask scheduler answers at tcp:") as told:
        Cluster.open("tcp://127.0.0.1:1")
    assert "\n" not in str(told.value)


def test_without_certificates_the_settings_that_name_them_are_told():
    with pytest.raises(ClusterError, match=r"certificates.*DASK_.*__CA_FILE, .*TLS") as told:
        Cluster.open("tls://127.0.0.1:1")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("said", "why"),
    [(b"", "nothing was said"), (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, "no dask|closed|reset")],
)
def test_an_address_where_something_else_listens_is_one_line(monkeypatch, said, why):
    monkeypatch.setattr("geoseg.cluster.reached._KNOCK_SECONDS", 1.0)
    monkeypatch.setattr("geoseg.cluster.reached._BUSY_SECONDS", 1.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    one, _ = other.accept()
                    callers.append(one)
                    one.sendall(said)

        callers: list[socket.socket] = []
        threading.Thread(target=answer, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(ClusterError, match=rf"no dask scheduler answers.*({why})") as told:
            Cluster.open(f"tcp://127.0.0.1:{other.getsockname()[1]}")
        other.shutdown(socket.SHUT_RDWR)
        for one in callers:
            one.close()
    assert "\n" not in str(told.value)
    assert time.monotonic() - began < 10


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "geoseg.cluster.local", None)
    monkeypatch.delattr("geoseg.cluster.local")
    with pytest.raises(OptionError, match=r"pip install 'geoseg\[cluster\]'"):
        Cluster.open("local")


def test_a_scheduler_without_geoseg_is_refused(cluster, monkeypatch):
    client = cluster._reached.client
    asked = client.get_versions

    def other(**words):
        found = asked(**words)
        found["scheduler"]["packages"]["geoseg"] = None
        return found

    monkeypatch.setattr(client, "get_versions", other)
    with pytest.raises(ClusterError, match="the scheduler of the cluster has geoseg not at all"):
        cluster._reached.check_releases(())


def test_workers_of_another_release_are_refused(cluster, monkeypatch):
    client = cluster._reached.client
    asked = client.get_versions

    def other(**words):
        found = asked(**words)
        for theirs in found["workers"].values():
            theirs["packages"]["geoseg"] = "0.0.1"
            theirs["packages"]["python"] = "3.9.1.final.0"
        return found

    monkeypatch.setattr(client, "get_versions", other)
    with pytest.raises(ClusterError, match=r"has Python 3\.9\.1, here .*; geoseg 0\.0\.1, here"):
        cluster._reached.check_releases(())


@pytest.mark.parametrize("name", ["Python", "geoseg", "distributed", "rasterio:__gdal_version__"])
def test_an_item_is_computed_by_workers_of_the_same_releases_alone(cluster, monkeypatch, name):
    ours = {**releases((*ALWAYS, "rasterio:__gdal_version__")), name: "99"}
    monkeypatch.setattr("geoseg.cluster.cluster.releases", lambda _packages: ours)
    told = f"has {name.replace(':', ' ')} .*, here 99: install the same there"
    with pytest.raises(ClusterError, match=told):
        list(cluster.ordered(work.threads, None, [0]))


def test_errors_of_ours_survive_being_sent():
    error = pickle.loads(pickle.dumps(ClusterError("a line")))
    assert (type(error), str(error)) == (ClusterError, "a line")


# -- what local workers leave behind ----------------------------------------------------------

_SCRIPT = """
from geoseg.cluster.cluster import Cluster
import math
def main():
    with Cluster.open("local", workers=2) as cluster:
        print(cluster.slots, flush=True)
        {then}
if __name__ == "__main__":
    main()
"""


def _script(folder: Path, then: str) -> subprocess.Popen[str]:
    path = folder / "script.py"
    path.write_text(_SCRIPT.format(then=then))
    (folder / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
    )


def test_local_workers_end_in_silence_and_leave_no_files(tmp_path):
    done = _script(tmp_path, "pass")
    assert done.communicate(timeout=60) == ("2\n", "")
    assert done.returncode == 0
    assert list((tmp_path / "tmp").iterdir()) == []


def any_process_of(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_interrupt_ends_local_workers_in_silence(tmp_path):
    done = _script(
        tmp_path,
        """import time
        try: print("begun", flush=True), time.sleep(60)
        except KeyboardInterrupt: print("ended")""",
    )
    assert done.stdout is not None
    assert [done.stdout.readline() for _ in "12"] == ["2\n", "begun\n"]
    os.killpg(done.pid, signal.SIGINT)
    assert done.communicate(timeout=60) == ("ended\n", "")
    assert list((tmp_path / "tmp").iterdir()) == []
    deadline = time.monotonic() + 20
    while any_process_of(done.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
