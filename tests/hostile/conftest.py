"""What fuzzers share: how many cases, what a reader may do, and a watch on what it does."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from geoseg.errors import GeosegError

CASES = int(os.environ.get("GEOSEG_FUZZ", "0"))
"""Cases of each fuzzer; 0 for those of a quick check."""

_WATCHED = ("open", "pickle.find_class", "subprocess.Popen", "os.system", "socket.connect")


class Watch:
    """Notes which files are opened and what else is done, while it looks."""

    def __init__(self) -> None:
        self.looks = False
        self.seen: list[tuple[str, str]] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.looks or event not in _WATCHED:
            return
        if event == "open" and args[1] is None and os.sep not in os.fsdecode(args[0]):
            return  # within a folder that is open, as when one is removed
        what = args[0] if event == "open" else args[-1] if event == "socket.connect" else args
        if not (event == "open" and isinstance(what, int)):
            self.seen.append((event, os.fsdecode(what) if event == "open" else repr(what)))

    @contextmanager
    def on(self, *allowed: Path) -> Iterator[None]:
        """Fail where files outside of `allowed`, or of Python, are opened, or code is run."""
        self.seen, self.looks = [], True
        try:
            yield
        finally:
            self.looks = False
        homes = (
            *map(str, allowed),
            sys.prefix,
            sys.base_prefix,
            "/dev/null",
            "/proc/",
            "/usr/share/zoneinfo/",
        )
        package = str(Path(__file__).resolve().parents[2] / "geoseg")
        for event, what in self.seen:
            inside = event == "open" and os.path.abspath(what).startswith((*homes, package))
            assert inside, f"{event}: {what}"


WATCH = Watch()


class Fuzz:
    """Hands damaged files to a reader, and says what came of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: Counter[str] = Counter()

    def cases(self, usual: int) -> Iterator[Random]:
        """A generator a case, the same ones in every run."""
        for seed in range(CASES or usual):
            yield Random(seed)

    def read(self, reader: Callable[[], Any], *names: str) -> Any:
        """Call a reader: it gives something, or refuses in one line that names the file."""
        try:
            with WATCH.on(self.folder):
                found = reader()
        except GeosegError as error:
            said = str(error)
            assert is_one_line(said), repr(said)
            assert any(name in said for name in names), repr(said)
            self.found["refused"] += 1
            return None
        self.found["read"] += 1
        return found

    @staticmethod
    def is_one_line(text: str) -> bool:
        """Tell whether a message is one line that does nothing to a terminal."""
        return is_one_line(text)

    def report(self) -> None:
        """Both outcomes came up, or the fuzzer tries nothing; told where many cases are tried."""
        assert self.found["refused"], "no case was refused"
        if CASES:
            print(f"\nfuzz: {dict(self.found)}")


def is_one_line(text: str) -> bool:
    """Tell whether a message is one line that does nothing to a terminal, and not endless."""
    bad = {"Cc", "Cs", "Zl", "Zp"}
    return 0 < len(text) < 5000 and not any(
        unicodedata.category(c) in bad or c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"
        for c in text
    )


@pytest.fixture
def fuzz(tmp_path: Path) -> Iterator[Fuzz]:
    """A fuzzer over files in a folder of its own."""
    made = Fuzz(tmp_path)
    yield made
    made.report()
