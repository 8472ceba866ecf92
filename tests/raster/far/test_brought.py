"""Files brought here whole: once a version, never in part, nothing but what they should be."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from geoseg.errors import InputError, ModelError, OptionError, OutputError
from geoseg.raster.far import brought
from geoseg.raster.far.brought import address_of, beside, bring, cache_folder, speaking
from geoseg.testing.webserver import WebServer, web_server

CONTENT = np.random.default_rng(0).bytes(3 << 20)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture
def server(running: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebServer:
    """A server with a file, and an empty cache."""
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    (running.folder / "a.bin").write_bytes(CONTENT)
    running.set(marks=True)
    return running


def fetch(address: str, *, most: int = 1 << 30, seen: list[bytes] | None = None) -> Path:
    def look(head: bytes, size: int | None) -> int:
        if seen is not None:
            seen.append(head)
        return 0

    return bring(address, look=look, error=ModelError, most=most)


def statuses(server: WebServer) -> list[int]:
    return [one.status for one in server.asked()]


def kept(tmp_path: Path) -> list[str]:
    return sorted(f.name for f in (tmp_path / "cache").rglob("*") if f.is_file())


def test_a_file_is_fetched_once_and_asked_for_each_time(server: WebServer) -> None:
    first = fetch(server.url("a.bin"))
    assert (first.name, first.read_bytes()) == ("a.bin", CONTENT)
    assert fetch(server.url("a.bin")) == first
    assert statuses(server) == [200, 304]


def test_a_file_that_changed_is_fetched_and_the_old_one_stays_for_who_reads_it(
    server: WebServer,
) -> None:
    first = fetch(server.url("a.bin"))
    (server.folder / "a.bin").write_bytes(b"other")
    second = fetch(server.url("a.bin"))
    assert (second.name, second.read_bytes(), first.read_bytes()) == ("a.bin", b"other", CONTENT)
    assert statuses(server) == [200, 200]


def test_without_marks_a_file_is_always_fetched(server: WebServer) -> None:
    server.set(marks=False)
    first = fetch(server.url("a.bin"))
    (server.folder / "a.bin").write_bytes(CONTENT[::-1])  # of the same size, in the same second
    assert fetch(server.url("a.bin")).read_bytes() == CONTENT[::-1]
    assert first.read_bytes() == CONTENT


def test_a_kept_file_that_was_cut_or_removed_is_fetched_again(server: WebServer) -> None:
    file = fetch(server.url("a.bin"))
    file.write_bytes(CONTENT[:-1])
    assert fetch(server.url("a.bin")).read_bytes() == CONTENT
    file.unlink()
    assert fetch(server.url("a.bin")).read_bytes() == CONTENT
    assert statuses(server) == [200, 200, 200]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        '{"content": "../..", "name": "passwd", "size": 1, "mark": "{}"}',
        '{"content": 1, "name": 1, "size": 1, "mark": "{}"}',
        '{"content": "CONTENT", "name": "a.bin", "size": 3145728, "mark": ""}',
        '{"content": "CONTENT", "name": "a.bin", "size": 3145728, "mark": "x"}',
        '{"content": "CONTENT", "name": "a.bin", "size": 3145728, "mark": "[]"}',
        '{"content": "CONTENT", "name": "a.bin", "size": 3145728, "mark": {}}',
    ],
)
def test_a_note_that_makes_no_sense_is_none(server: WebServer, tmp_path: Path, note: str) -> None:
    file = fetch(server.url("a.bin"))
    (file.parents[1] / "note.json").write_text(note.replace("CONTENT", file.parent.name))
    assert fetch(server.url("a.bin")) == file
    assert statuses(server) == [200, 200]


@pytest.mark.parametrize("marks", [True, False])
def test_a_body_that_is_cut_is_gone_on_with_where_that_is_safe(
    server: WebServer, marks: bool
) -> None:
    server.set(marks=marks, faults=["cut:1000", 503, "reset", "cut:2000000"])
    assert fetch(server.url("a.bin")).read_bytes() == CONTENT
    asked = [(one.status, one.ranged) for one in server.asked()]
    rest = (206 if marks else 200, marks)
    assert asked == [(200, False), (503, marks), (0, marks), rest, rest]


def test_a_file_that_changes_between_two_parts_comes_from_its_beginning(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.set(marks=True, faults=["cut:100000"])

    def change(seconds: float) -> None:
        (server.folder / "a.bin").write_bytes(b"other" * 50_000)

    monkeypatch.setattr("geoseg.raster.opening.remote.wait", change)
    assert fetch(server.url("a.bin")).read_bytes() == b"other" * 50_000


def test_what_is_never_whole_is_one_line_and_nothing_is_kept(
    server: WebServer, tmp_path: Path
) -> None:
    server.set(forever="cut:1000", ranges=False)
    with pytest.raises(ModelError, match=r"a\.bin: came in part alone \(1,000 of 3,145,728 bytes"):
        fetch(server.url("a.bin"))
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "has no such file"), (403, "refuses access"), (401, "wants to know"), (500, "fails")],
)
def test_refusals_are_told_apart(server: WebServer, status: int, words: str) -> None:
    server.set(forever=status)
    with pytest.raises(ModelError, match=words):
        fetch(server.url("a.bin"))
    assert len(server.asked()) == (6 if status == 500 else 1)


def test_a_page_is_refused_by_its_first_bytes(server: WebServer, tmp_path: Path) -> None:
    (server.folder / "page.bin").write_bytes(b"\n<!DOCTYPE html>" + CONTENT)
    with pytest.raises(ModelError, match="is a page for a browser and not the file"):
        fetch(server.url("page.bin"))
    assert kept(tmp_path) == []


def test_what_is_too_large_is_refused_before_it_comes(server: WebServer) -> None:
    seen: list[bytes] = []
    with pytest.raises(ModelError, match="too large: more than 1,000 bytes"):
        fetch(server.url("a.bin"), most=1000, seen=seen)
    assert seen == []


def test_a_full_disk_is_told_before_anything_comes(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Full)
    with pytest.raises(OutputError, match=r"no space left for .* GEOSEG_CACHE"):
        fetch(server.url("a.bin"))
    assert kept(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_told(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set GEOSEG_CACHE to a folder of your own"):
        fetch(server.url("a.bin"))


def test_a_look_sees_the_whole_head_it_asks_for_and_may_end_it(server: WebServer) -> None:
    seen: list[tuple[int, int | None]] = []

    def look(head: bytes, size: int | None) -> int:
        seen.append((len(head) >= 2_000_000, size))
        if len(head) < 2_000_000:
            return 2_000_000
        assert head[:2_000_000] == CONTENT[:2_000_000]
        raise ModelError("none of ours")

    with pytest.raises(ModelError, match="none of ours"):
        bring(server.url("a.bin"), look=look, error=ModelError, most=1 << 30)
    assert seen == [(False, len(CONTENT)), (True, len(CONTENT))]


def test_what_an_address_is_signed_with_neither_changes_nor_reaches_the_cache(
    server: WebServer, tmp_path: Path
) -> None:
    plain = server.url("a.bin")
    signed = plain.replace("127", "me:hidden@127") + "?X-Amz-Signature=hidden&X-Amz-Date=1"
    first = fetch(signed)
    assert fetch(plain) == first
    assert statuses(server) == [200, 304]
    assert fetch(f"{plain}?version=2") != first
    noted = [f.read_text() for f in (tmp_path / "cache").rglob("note.json")]
    assert noted
    assert not any("hidden" in text for text in [*noted, *map(str, first.parents)])
    assert json.loads(noted[0])["content"] == blake2b(CONTENT, digest_size=16).hexdigest()


def test_large_files_are_spoken_of(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brought, "_SPOKEN_OF", 1 << 20)
    said: list[str] = []
    with speaking(said.append):
        fetch(server.url("a.bin").replace("127", "me:hidden@127"))
        fetch(server.url("a.bin"))
    assert said == [f"fetching 3.1 MB from {server.url('a.bin')}"]


def test_old_versions_make_way_after_a_day(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(server.url("a.bin"))
    (server.folder / "a.bin").write_bytes(b"other")
    monkeypatch.setattr(brought, "_OLD", -1.0)
    assert fetch(server.url("a.bin")).read_bytes() == b"other"
    assert not first.exists()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("https://h/a", "https://h/a"),
        ("S3://b/a", "S3://b/a"),
        ("/vsicurl/https://h/a", "https://h/a"),
        ("/vsis3/b/a", "s3://b/a"),
        ("https://h/a b?sig=x y", "https://h/a%20b?sig=x%20y"),
        ("s3://b/a b", "s3://b/a b"),
        ("/vsicurl/file:///etc/a", None),
        ("/data/a", None),
        ("a.safetensors", None),
        ("file:///a", None),
    ],
)
def test_addresses_are_told_from_files(given: str, found: str | None) -> None:
    assert address_of(given) == found


@pytest.mark.parametrize("given", ["s3://b/a.safetensors", "https://h/a"])
def test_an_address_as_a_path_is_told_what_it_lost(given: str) -> None:
    with pytest.raises(OptionError, match="a Path takes a slash from an address; give it as a tex"):
        address_of(Path(given))


def test_a_folder_that_is_called_like_an_address_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "a").write_text("")
    assert address_of(Path("s3:/a")) is None


def test_the_cache_lies_where_programs_keep_such_things(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GEOSEG_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "geoseg"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "geoseg"


def test_what_an_address_with_a_space_is_signed_with_is_not_told(server: WebServer) -> None:
    address = address_of(server.url("no such.bin?sig=hidden"))
    with pytest.raises(ModelError, match=r"no%20such\.bin: the server has no such file") as caught:
        fetch(str(address))
    assert "hidden" not in str(caught.value)


def test_what_lies_beside_a_file_that_was_cut_comes_with_the_whole_one(server: WebServer) -> None:
    first = beside(fetch(server.url("a.bin")), b"card", "a.toml")
    assert (first.read_bytes(), first.with_suffix(".toml").read_bytes()) == (CONTENT, b"card")
    assert beside(fetch(server.url("a.bin")), b"card", "a.toml") == first
    first.write_bytes(b"cut")
    fetch(server.url("a.bin")).write_bytes(b"cut")
    again = beside(fetch(server.url("a.bin")), b"card", "a.toml")
    assert (again.read_bytes(), again.with_suffix(".toml").read_bytes()) == (CONTENT, b"card")


def test_errors_are_of_the_kind_asked_for(server: WebServer) -> None:
    with pytest.raises(InputError) as caught:
        bring(server.url("none"), look=lambda *_: 0, error=InputError, most=9)
    assert type(caught.value) is InputError


def test_processes_that_begin_at_once_make_the_cache_together(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def another_was_first(self: Path, *args: Any, **options: Any) -> None:
        mkdir(self, parents=True, exist_ok=True)
        mkdir(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", another_was_first)
    assert fetch(server.url("a.bin")).read_bytes() == CONTENT


def test_what_one_process_does_not_find_another_one_may_look_for(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdtemp = tempfile.mkdtemp

    def another_looks_first(**options: Any) -> str:
        monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
        with pytest.raises(ModelError):
            fetch(server.url("none.bin"))
        return mkdtemp(**options)

    monkeypatch.setattr(tempfile, "mkdtemp", another_looks_first)
    with pytest.raises(ModelError, match="no such file"):
        fetch(server.url("none.bin"))


def test_names_may_have_spaces_and_letters_of_any_language(server: WebServer) -> None:
    (server.folder / "größer als 1.bin").write_bytes(CONTENT)
    file = fetch(server.url("größer als 1.bin"))
    assert (file.name, file.read_bytes()) == ("größer als 1.bin", CONTENT)
    assert fetch(server.url("gr%C3%B6%C3%9Fer%20als%201.bin")).read_bytes() == CONTENT


def test_a_part_of_another_file_is_not_joined_to_what_came_before(
    server: WebServer,
) -> None:
    other = CONTENT[::-1]

    class Careless(BaseHTTPRequestHandler):
        """Ends the first body early, and gives parts of what took its place without a look."""

        def do_GET(self) -> None:
            begun = self.headers.get("Range")
            asked.append(begun)
            first = len(asked) == 1
            self.send_response(206 if begun else 200)
            self.send_header("ETag", '"a"' if first else '"b"')
            start = int(begun.partition("=")[2].rstrip("-")) if begun else 0
            self.send_header("Content-Length", str(len(CONTENT) - start))
            if begun:
                size = len(CONTENT)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.end_headers()
            self.wfile.write(CONTENT[:1000] if first else other[start:])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    asked: list[str | None] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Careless) as careless:
        Thread(target=careless.serve_forever, daemon=True).start()
        file = fetch(f"http://127.0.0.1:{careless.server_address[1]}/a.bin")
        careless.shutdown()
    assert file.read_bytes() == other
    assert asked == [None, "bytes=1000-", None]


def test_a_server_that_always_cuts_is_given_up(server: WebServer) -> None:
    server.set(marks=False, forever="cut:2500000")
    with pytest.raises(ModelError, match="in part alone"):
        fetch(server.url("a.bin"))
    assert len(server.asked()) <= 12


def test_who_asks_is_not_told_to_the_server_that_it_is_sent_on_to(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str | None] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization"))
            heard.append(self.headers.get("X-Token"))
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    monkeypatch.setenv("GDAL_HTTP_HEADERS", "X-Token: hidden")
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as first:
        Thread(target=first.serve_forever, daemon=True).start()
        target = f"http://127.0.0.1:{first.server_address[1]}/second"
        with pytest.raises(ModelError):
            fetch(f"http://me:hidden@127.0.0.1:{first.server_address[1]}/first")
        first.shutdown()
    assert heard[0].startswith("Basic ")
    assert set(heard[2:]) == {None}
