"""Object storage: lists, and outputs that appear there whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import obstore
import pytest

from geoseg.errors import OptionError, OutputError, RasterReadError
from geoseg.raster.opening import objects
from geoseg.raster.opening.heads import expand
from geoseg.raster.outputs.sending import Sending, sending
from geoseg.testing.objectserver import object_server


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with object_server("maps") as environment:
        yield environment


@pytest.fixture
def store(
    server: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> str:
    """A folder in the storage, another for each test; temporary files lie in one of the test's."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setenv("STORE_AT", server["AWS_ENDPOINT_URL"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return "s3://maps/" + re.sub(r"\W+", "-", request.node.name)


def content(address: str, folder: Path) -> bytes:
    scheme, bucket, key = objects._split(address)
    return bytes(obstore.get(objects._store(scheme, bucket), key).bytes())


def names(store: str) -> list[str]:
    return [one.removeprefix(f"{store}/") for one in objects.listed(f"{store}/**")]


def put(store: str, *given: str, folder: Path) -> None:
    for name in given:
        (folder / "given").write_bytes(name.encode())
        objects.put(folder / "given", f"{store}/{name}")


@pytest.mark.parametrize(
    ("path", "object_", "pattern"),
    [
        ("s3://b/a.tif", True, False),
        ("S3://b/a.tif", True, False),
        ("gs://b/folder/", True, True),
        ("az://b", True, True),
        ("s3://b/*.tif", True, True),
        ("s3://b/a[12].tif", True, True),
        ("https://h/a?.tif", False, False),
        ("/a/*.tif", False, False),
    ],
)
def test_addresses_are_told_apart(path: str, object_: bool, pattern: bool) -> None:
    assert (objects.is_object(path), objects.is_pattern(path)) == (object_, pattern)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a.tif", "b.txt", "b1.tif"]),
        ("*.tif", ["a.tif", "b1.tif"]),
        ("b?.tif", ["b1.tif"]),
        ("[ab].*", ["a.tif", "b.txt"]),
        ("*/*.tif", ["deep/c.tif"]),
        ("**/*.tif", ["a.tif", "b1.tif", "deep/c.tif", "deep/er/d.tif"]),
        ("a.*if", ["a.tif"]),
        ("none*", []),
    ],
)
def test_folders_and_patterns_list_what_they_match(
    store: str, tmp_path: Path, pattern: str, found: list[str]
) -> None:
    put(store, "a.tif", "b1.tif", "b.txt", "deep/c.tif", "deep/er/d.tif", folder=tmp_path)
    assert objects.listed(f"{store}/{pattern}") == [f"{store}/{name}" for name in found]


def test_a_pattern_gives_rasters_alone(store: str, tmp_path: Path) -> None:
    put(store, "b.tif", "a.tif", "a.tif.aux.xml", "c.txt", folder=tmp_path)
    assert expand([f"{store}/"]) == [f"{store}/a.tif", f"{store}/b.tif"]
    with pytest.raises(RasterReadError, match="no raster lies there"):
        expand([f"{store}/*.txt"])


def test_a_bucket_that_is_not_there_is_named(store: str) -> None:
    with pytest.raises(RasterReadError, match="no such bucket"):
        objects.listed("s3://nowhere/")
    with pytest.raises(OutputError, match="there is no bucket nowhere"):
        Sending(["s3://nowhere/a.tif"])


def test_what_is_made_is_put_whole_and_its_place_here_removed(store: str, tmp_path: Path) -> None:
    outputs = Sending([f"{store}/a.tif"])
    place = outputs.places[f"{store}/a.tif"]
    with sending(outputs):
        place.write_bytes(b"pixels")
        place.with_suffix(".qml").write_bytes(b"style")
        assert names(store) == []
        assert outputs.spoken(f"made {place}.") == f"made {store}/a.tif."
    assert outputs.told([place.with_suffix(".qml")]) == [f"{store}/a.qml"]
    assert names(store) == ["a.qml", "a.tif"]
    assert content(f"{store}/a.tif", tmp_path) == b"pixels"
    assert not outputs.root.exists()


def test_large_files_go_in_parts(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_PART", 5 << 20)
    file = tmp_path / "large"
    file.write_bytes(np.random.default_rng(0).bytes(12 << 20))
    objects.put(file, f"{store}/large")
    assert content(f"{store}/large", tmp_path) == file.read_bytes()


def test_the_raster_is_put_after_what_belongs_to_it(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(objects, "put", lambda _file, address: order.append(address))
    outputs = Sending([f"{store}/map.tif", f"{store}/more/p.tif", f"{store}/set"])
    for address, place in outputs.places.items():
        if address.endswith(".tif"):
            place.write_bytes(b"")
            place.with_name(f"{place.name}.aux.xml").write_bytes(b"")
    (outputs.places[f"{store}/set"] / "train").mkdir(parents=True)
    (outputs.places[f"{store}/set"] / "dataset.json").write_bytes(b"")
    (outputs.places[f"{store}/set"] / "train" / "x.npy").write_bytes(b"")
    outputs.send()
    inner = [address.removeprefix(f"{store}/") for address in order]
    assert inner[-2:] == ["more/p.tif", "map.tif"]
    assert inner.index("set/dataset.json") > inner.index("set/train/x.npy")
    assert sorted(inner[:-2]) == [
        *("map.tif.aux.xml", "more/p.tif.aux.xml", "set/dataset.json", "set/train/x.npy"),
    ]


def test_what_is_there_is_not_replaced_unasked(store: str, tmp_path: Path) -> None:
    put(store, "a.tif", "set/x.npy", folder=tmp_path)
    with pytest.raises(OutputError, match=r"a\.tif is there already; replace it with --overwrite"):
        Sending([f"{store}/a.tif"])
    with pytest.raises(OutputError, match="holds objects already"):
        Sending([f"{store}/set"], overwrite=True)


def test_what_a_killed_run_had_put_is_gone_on_with_by_resume(store: str, tmp_path: Path) -> None:
    put(store, "set/x.npy", "set/y.npy", folder=tmp_path)
    killed = Sending([f"{store}/new"])
    killed._unlock()
    killed.places[f"{store}/new"].mkdir(parents=True)
    (killed.places[f"{store}/new"] / "x.npy").write_bytes(b"new/x.npy")
    (killed.root / ".begun").write_text(f"{store}/new/x.npy")
    put(store, "new/x.npy", folder=tmp_path)
    for resume, way in ((False, "go on with --resume, or"), (None, "remove them, or")):
        with pytest.raises(OutputError, match=f"of a run that was stopped; {way} choose another"):
            Sending([f"{store}/new"], resume=resume)
    Sending([f"{store}/new"], resume=True).leave()
    with pytest.raises(OutputError, match="holds objects already; choose another name"):
        Sending([f"{store}/set"])


@pytest.mark.parametrize("left", [b"half", None])
def test_what_a_killed_run_brought_is_brought_again(
    store: str, tmp_path: Path, left: bytes | None
) -> None:
    put(store, "set/x.npy", "set/dataset.json", folder=tmp_path)
    killed = Sending([f"{store}/set"], resume=True)
    killed._unlock()
    place = killed.places[f"{store}/set"]
    if left is None:
        (place / "dataset.json").unlink()
    else:
        (place / "dataset.json").write_bytes(left)
    again = Sending([f"{store}/set"], resume=True)
    assert (place / "dataset.json").read_bytes() == b"set/dataset.json"
    with sending(again):
        pass
    assert not again.root.exists()
    assert names(store) == ["set/dataset.json", "set/x.npy"]


def test_what_appeared_meanwhile_is_left(store: str, tmp_path: Path) -> None:
    outputs = Sending([f"{store}/a.tif"])
    outputs.places[f"{store}/a.tif"].write_bytes(b"ours")
    put(store, "a.tif", folder=tmp_path)
    with pytest.raises(OutputError, match="appeared meanwhile"):
        outputs.send()
    assert content(f"{store}/a.tif", tmp_path) == b"a.tif"


def test_replacing_removes_parts_of_the_old_raster(store: str, tmp_path: Path) -> None:
    put(store, "a.tif", "a.tif.ovr", "a.tif.aux.xml", "b.tif.ovr", folder=tmp_path)
    outputs = Sending([f"{store}/a.tif"], overwrite=True)
    with sending(outputs):
        outputs.places[f"{store}/a.tif"].write_bytes(b"new")
    assert names(store) == ["a.tif", "b.tif.ovr"]


@pytest.mark.parametrize("what", ["stays", "changes", "goes"])
def test_a_style_that_is_there_is_seen_where_outputs_are_made(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    put(store, "a.qml", folder=tmp_path)
    order: list[str] = []
    really = objects.put
    monkeypatch.setattr(objects, "put", lambda *given: (order.append(given[1]), really(*given)))
    outputs = Sending([f"{store}/a.gpkg"])
    with sending(outputs):
        style = outputs.places[f"{store}/a.gpkg"].with_suffix(".qml")
        assert style.read_bytes() == b"a.qml"
        outputs.places[f"{store}/a.gpkg"].write_bytes(b"polygons")
        if what == "changes":
            style.write_bytes(b"new")
        elif what == "goes":
            style.unlink()
    expected = {"stays": ["a.gpkg"], "changes": ["a.qml", "a.gpkg"], "goes": ["a.gpkg"]}[what]
    assert order == [f"{store}/{name}" for name in expected]
    assert names(store) == (["a.gpkg"] if what == "goes" else ["a.gpkg", "a.qml"])
    assert not outputs.root.exists()


@pytest.mark.parametrize("given", ["a.tif", "*.tif"])
def test_an_input_is_not_written_over(store: str, given: str) -> None:
    with pytest.raises(OutputError, match="is an input of this very run"):
        Sending([f"{store}/a.tif"], inputs=[f"{store}/{given}"], overwrite=True)


def test_nothing_is_put_where_the_command_fails(store: str) -> None:
    outputs = Sending([f"{store}/a.tif"])
    place = outputs.places[f"{store}/a.tif"]
    with pytest.raises(OutputError) as raised, sending(outputs):
        raise OutputError(f"{place}: no rows")
    assert str(raised.value) == f"{store}/a.tif: no rows"
    assert names(store) == []
    assert not outputs.root.exists()


def test_what_cannot_be_put_stays_here_and_resume_puts_it(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Sending([f"{store}/a.tif"])
    place = outputs.places[f"{store}/a.tif"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    lost = pytest.raises(OutputError, match="nothing is lost: it is whole in")
    with lost as raised, sending(outputs):
        place.write_bytes(b"pixels")
    assert str(place.parent) in str(raised.value)
    assert place.read_bytes() == b"pixels"
    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["STORE_AT"])
    again = Sending([f"{store}/a.tif"], resume=True)
    assert again.places == outputs.places
    with sending(again):
        pass
    assert content(f"{store}/a.tif", tmp_path) == b"pixels"


def test_what_an_old_run_could_not_put_is_removed_only_when_asked(store: str) -> None:
    old = Sending([f"{store}/a.tif", f"{store}/maps"])
    file, folder = old.places.values()
    file.write_bytes(b"old")
    for hidden in (file.parent / ".a.tif.part", folder / ".scene.tif.part"):
        hidden.mkdir(parents=True)
    (folder / "done.tif").write_bytes(b"old")
    old.leave()
    for resume, way in ((False, "with --resume"), (None, "by hand")):
        with pytest.raises(OutputError, match=f"put it there {way}, or begin anew") as told:
            Sending([f"{store}/a.tif", f"{store}/maps"], resume=resume)
        assert str(told.value).startswith(f"{store}/a.tif: what an earlier run made")
        assert str(file.parent) in str(told.value)
    again = Sending([f"{store}/a.tif", f"{store}/maps"], overwrite=True)
    left = {entry.name for place in (file, folder) for entry in place.parent.rglob("*")}
    assert left == {".a.tif.part", ".scene.tif.part", "maps"}
    again.leave()


def test_two_runs_do_not_make_the_same_at_a_time(store: str) -> None:
    first = Sending([f"{store}/a.tif"])
    place = first.places[f"{store}/a.tif"]
    place.write_bytes(b"whole, and being put")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputError, match="another run on this machine is making it"):
            Sending([f"{store}/a.tif"], **options)
    assert place.read_bytes() == b"whole, and being put"
    other = Sending([f"{store}/b.tif"])
    other.leave()
    with sending(first):
        pass
    assert names(store) == ["a.tif"]
    again = Sending([f"{store}/a.tif"], overwrite=True)
    assert not place.exists()
    again.leave()
    assert not again.root.exists()


def test_an_output_that_was_not_made_is_no_success(store: str) -> None:
    outputs = Sending([f"{store}/a.tif", f"{store}/b.tif"])
    with pytest.raises(OutputError, match=r"b\.tif: nothing was put there"), sending(outputs):
        outputs.places[f"{store}/a.tif"].write_bytes(b"pixels")
    assert names(store) == []


def test_a_folder_with_a_dot_in_its_name_is_not_filled_up(store: str, tmp_path: Path) -> None:
    put(store, "maps.v2/x.tif", folder=tmp_path)
    with pytest.raises(OutputError, match="holds objects already"):
        Sending([f"{store}/maps.v2"], overwrite=True)


def test_a_folder_that_appeared_meanwhile_is_left(store: str, tmp_path: Path) -> None:
    outputs = Sending([f"{store}/set"])
    outputs.places[f"{store}/set"].mkdir()
    (outputs.places[f"{store}/set"] / "x.npy").write_bytes(b"ours")
    put(store, "set/y.npy", folder=tmp_path)
    with pytest.raises(OutputError, match="appeared meanwhile"):
        outputs.send()
    assert names(store) == ["set/y.npy"]


class Lost:
    """Puts some objects, and then the storage is gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, puts: int) -> None:
        self.put, self.left = objects.put, puts
        monkeypatch.setattr(objects, "put", self)

    def __call__(self, file: Path, address: str) -> None:
        if self.left == 0:
            raise OutputError(f"{address}: cannot be written (no route)")
        self.left -= 1
        self.put(file, address)


@pytest.mark.parametrize("puts", [1, 2, 3])
def test_what_was_put_in_part_is_put_whole_by_resume(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    addresses = [f"{store}/a.tif", f"{store}/more/b.tif", f"{store}/set"]
    outputs = Sending(addresses)
    a, b, folder = outputs.places.values()
    a.write_bytes(b"pixels")
    b.write_bytes(b"more pixels")
    folder.mkdir()
    for name in ("x.npy", "dataset.json"):
        (folder / name).write_bytes(name.encode())
    with monkeypatch.context() as patch:
        Lost(patch, puts)
        with pytest.raises(OutputError, match="or to be put there with --resume"), sending(outputs):
            pass
    assert len(names(store)) == puts
    with sending(Sending(addresses, resume=True)):
        pass
    assert names(store) == ["a.tif", "more/b.tif", "set/dataset.json", "set/x.npy"]
    assert content(f"{store}/a.tif", tmp_path) == b"pixels"
    assert not outputs.root.exists()


def test_resume_replaces_nothing_of_others(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Sending([f"{store}/a.tif"])
    outputs.places[f"{store}/a.tif"].write_bytes(b"pixels")
    with monkeypatch.context() as patch:
        Lost(patch, 0)
        with pytest.raises(OutputError, match="nothing is lost"), sending(outputs):
            pass
    put(store, "a.tif", folder=tmp_path)
    with pytest.raises(OutputError, match="is there already"):
        Sending([f"{store}/a.tif"], resume=True)
    assert content(f"{store}/a.tif", tmp_path) == b"a.tif"


def test_names_of_no_file_are_refused(store: str) -> None:
    with pytest.raises(OutputError, match="names no file"):
        Sending(["s3://maps"])


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(OptionError, match=r"pip install 'geoseg\[cloud\]'"):
        Sending(["s3://maps/a.tif"])
    with pytest.raises(OptionError, match=r"pip install 'geoseg\[cloud\]'"):
        objects.listed("s3://maps/*.tif")


@pytest.mark.parametrize(
    ("endpoint", "plain"), [("http://127.0.0.1:9/name", True), ("https://host", False), ("", False)]
)
def test_azure_is_asked_without_encryption_only_where_the_address_says_so(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, plain: bool
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
    monkeypatch.setattr(objects, "_made", lambda *given: given)
    assert objects._store("az", "maps") == ("az", "maps", (("plain_http", plain),))
