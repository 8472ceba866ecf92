"""What runs in a worker: tasks, and what they share.

What tasks share reaches each worker once, as bytes, when it joins or when it is announced; the
first task that needs it turns it into a value, and all tasks of that process are given the same.
"""

from __future__ import annotations

import os
import pickle
import socket
import traceback
from collections import deque
from dataclasses import dataclass, field
from threading import Condition, Lock, local
from typing import Any, Generic, TypeVar

from distributed import Worker, WorkerPlugin, get_worker

from geoseg.cluster.releases import differences, releases
from geoseg.errors import ClusterError

Value = TypeVar("Value")


@dataclass
class _Held:
    """What tasks of a name share, in this process."""

    content: bytes
    lock: Lock = field(default_factory=Lock)
    value: Any = None
    made: bool = False

    def get(self) -> Any:
        with self.lock:
            if not self.made:
                try:
                    self.value, self.content = pickle.loads(self.content), b""
                except (ImportError, AttributeError) as error:
                    raise ClusterError(
                        f"the worker {worker_name()} cannot make what it was sent ({error}):"
                        " install there what is installed here"
                    ) from error
                self.made = True
        return self.value


_ARRIVES_SECONDS = 120.0
"""How long what is shared may come later than a task that needs it: it does where somebody else
does not answer."""
_held: dict[str, _Held] = {}
_let_go: deque[str] = deque(maxlen=1000)
"""What is not to be waited for."""
_arrived = Condition()
_of_thread = local()


class Shared(WorkerPlugin):
    """Brings what tasks share to a worker; dask gives it to those that join later as well."""

    idempotent = True

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self._content = content

    def setup(self, worker: Worker) -> None:
        """Take what is shared into the worker's process."""
        del worker
        with _arrived:
            _held[self.name] = _Held(self._content)
            _arrived.notify_all()
        self._content = b""  # the worker keeps the plugin as well

    def teardown(self, worker: Worker) -> None:
        """Let it go."""
        del worker
        with _arrived:
            _held.pop(self.name, None)
            _let_go.append(self.name)
            _arrived.notify_all()


@dataclass(frozen=True)
class Kept(Generic[Value]):
    """Stands for a value that workers were sent; see `geoseg.cluster.cluster.Cluster.keep`."""

    name: str
    """Of its own."""
    threads: int | None
    """How many the user gave each worker."""

    def get(self) -> Value:
        """Return the value, in a worker.

        Raises
        ------
        ClusterError
            It is not there, or cannot be made there.
        """
        with _arrived:
            _arrived.wait_for(
                lambda: self.name in _held or self.name in _let_go, timeout=_ARRIVES_SECONDS
            )
            held = _held.get(self.name)
        if held is None:
            raise ClusterError(f"the worker {worker_name()} was not told what it is to work with")
        value: Value = held.get()
        return value


@dataclass(frozen=True)
class Answer:
    """What came of one item."""

    value: Any = None
    """The result."""
    error: Exception | None = None
    """What the task raised instead."""
    trace: str = ""
    """Where, as text."""


def answer(kept: Kept[Any], call: bytes, client: dict[str, str]) -> Answer:
    """Do a task; what it raises is an answer as well, so that dask neither repeats nor logs it.

    Parameters
    ----------
    kept
        What is shared.
    call
        The task and its item, pickled: what a worker cannot make of them is an answer as well.
    client
        Releases of who asks, see `geoseg.cluster.releases`.
    """
    try:
        told = differences(releases(tuple(client)), client)
        if told:
            raise ClusterError(f"the worker {worker_name()} has {told}: install the same there")
        _of_thread.given = kept.threads
        task, item = pickle.loads(call)
        return Answer(task(kept.get(), item))
    except Exception as error:
        return Answer(error=_as_sent(error), trace=traceback.format_exc())


def _as_sent(error: Exception) -> Exception:
    """Return the error itself where it can be sent, else one that says the same."""
    try:
        same: Exception = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return same if type(same) is type(error) else RuntimeError(str(error))


def task_threads() -> int:
    """Return how many threads the task that asks should use.

    The threads that the user gave each worker, shared among the tasks that it does at a time; one
    where the user gave none, for dask has as many tasks at a time as it was given threads.
    """
    at_a_time = max(1, get_worker().state.nthreads)
    given: int | None = _of_thread.given
    return 1 if given is None else max(1, given // at_a_time)


def worker_name() -> str:
    """Name this worker in a message: its address and machine."""
    return f"{get_worker().address} on {socket.gethostname()}"


def worker_process() -> int:
    """Return the number of this process; tests tell workers apart by it."""
    return os.getpid()
