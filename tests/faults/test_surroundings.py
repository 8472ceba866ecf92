"""Names, streams, caches, clocks and rights that are unlike those of who wrote geoseg."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

GEOSEG = [sys.executable, "-m", "geoseg"]
CLASSES = ("--classes", "1=Gewässer ü,2=Gebüsch,3=Wald")
COVERAGE = "coverage {data}/labels.tif --cell 600m --target"


def some_slow(names: Iterable[str], *quick: str) -> list[Any]:
    """All names for a test, those that a quick check leaves out marked."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize(
    "name",
    some_slow(
        (
            "a b",
            "ü é 汉",
            "it's",
            'q"q',
            "a#b",
            "a%20b",
            "a?b",
            "a&b",
            "[a]",
            "a*b",
            "a:b",
            "$HOME",
        ),
        *("ü é 汉", "a#b", "$HOME"),
    ),
)
def test_names_are_taken_as_they_are(checked: Any, name: str) -> None:
    folder = checked.out / f"{name} folder"
    folder.mkdir()
    for file in ("scene.tif", "labels.tif", "model.safetensors"):
        shutil.copy(checked.run.data / file, folder / f"{name}{file}")
    words = ["predict", f"{name}scene.tif", "-m", f"{name}model.safetensors", "-o", f"{name}.tif"]
    before = f"import os; os.chdir({str(folder)!r})"
    ended = checked.run("", checked.out, *words, "--tile", "32", before=before)
    assert ended.status == 0, ended.err
    assert (folder / f"{name}.tif").is_file()
    words = ["vectorise", f"{name}.tif", "-o", f"{name}.gpkg"]
    ended = checked.run("", checked.out, *words, before=before)
    assert ended.status == 0, ended.err
    assert {p.name.removeprefix(name).removeprefix(".tif") for p in folder.iterdir()} == {
        "scene.tif", "labels.tif", "model.safetensors", "", ".gpkg", ".qml", ".aux.xml",
    }  # fmt: skip


def test_the_longest_name_works_and_a_longer_one_is_refused(checked: Any) -> None:
    for command, end in (("coverage", ".tif"), ("tile", ""), ("predict", ".tiff")):
        words = checked.run.words(command, checked.out)[:-1]
        longest = "x" * (234 - len(end)) + end
        for name, status in ((longest, 0), ("y" + longest, 1)):
            ended = checked.run("", checked.out, *words, str(checked.out / name))
            assert ended.status == status, ended.err
        assert "the name has 235 bytes and may have 234; choose a shorter one" in ended.err
        assert (checked.out / longest).exists()


@pytest.mark.parametrize("name", ["a!b", "a\nb"])
def test_a_path_that_no_geopackage_can_have_is_refused_before_work(checked: Any, name: str) -> None:
    for command, end in (("tile", ""), ("vectorise", ".gpkg")):
        words = checked.run.words(command, checked.out)[:-1]
        ended = checked.run("", checked.out, *words, str(checked.out / (name + end)))
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert "no GeoPackage can be written to a path with" in ended.err
        assert not list(checked.out.iterdir())


def test_a_name_that_is_no_text_is_one_line(checked: Any) -> None:
    path = os.fsdecode(os.fsencode(checked.out) + b"/\xff.tif")
    shutil.copy(checked.run.data / "labels.tif", path)
    for words in (["info", path], ["vectorise", path, "-o", str(checked.out / "a.gpkg")]):
        ended = checked.run("", checked.out, *words)
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert "\\udcff" in ended.err


def called(words: list[str], **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run geoseg as a person does; None leaves a variable out."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"} | {k: v for k, v in environment.items() if v}
    for key in [k for k, v in environment.items() if v is None]:
        env.pop(key, None)
    return subprocess.run(
        [*GEOSEG, *words], env=env, capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"LC_ALL": "C", "LANG": None}, id="C", marks=pytest.mark.slow),
        pytest.param({"LC_ALL": "tr_TR.UTF-8"}, id="Turkish", marks=pytest.mark.slow),
        pytest.param({"LC_ALL": "de_DE.UTF-8"}, id="German", marks=pytest.mark.slow),
        pytest.param({"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}, id="ascii"),
        pytest.param({"LC_ALL": None, "LANG": None}, id="none", marks=pytest.mark.slow),
    ],
)
def test_a_locale_changes_no_output(checked: Any, environment: dict[str, str | None]) -> None:
    words = checked.run.words(COVERAGE, checked.out, "Gewässer ü", *CLASSES, "-o")
    ended = called([*words, str(checked.out / "ü.tif")], **environment)
    assert ended.returncode == 0, ended.stderr
    assert "Gewässer ü: 35.56 %" in ended.stdout
    made = (checked.out / "ü.tif").read_bytes()
    again = checked.run("", checked.out, *words, str(checked.out / "v.tif"))
    assert again.status == 0, again.err
    assert (checked.out / "v.tif").read_bytes() == made


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"HOME": "/proc", "MPLCONFIGDIR": "/proc/a", "NUMBA_CACHE_DIR": "/proc/b"}),
        pytest.param({"HOME": None}, marks=pytest.mark.slow),
        pytest.param({"TMPDIR": "/nowhere"}, marks=pytest.mark.slow),
    ],
)
def test_nothing_but_the_output_needs_a_place_to_write(
    checked: Any, environment: dict[str, str | None]
) -> None:
    ended = called(checked.run.words("homogenise", checked.out), **environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert checked.contents() == checked.whole("homogenise")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
@pytest.mark.parametrize("closed", some_slow(["<&- >&-", "<&- >&- 2>&-"], "<&- >&- 2>&-"))
def test_closed_streams_lose_nothing(checked: Any, closed: str) -> None:
    words = checked.run.words("coverage", checked.out)
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *GEOSEG, *words], capture_output=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert checked.contents() == checked.whole("coverage")


@pytest.mark.parametrize(
    "name", some_slow(["tile", "predict", "vectorise", "coverage", "train"], "predict")
)
def test_a_clock_that_jumps_back_changes_nothing(checked: Any, name: str) -> None:
    jumps = (
        "import itertools\n"
        "clock = itertools.count(4_000_000_000, -86_400)\n"
        "time.time = lambda: float(next(clock))"
    )
    ended = checked.run(name, checked.out, before=jumps)
    assert ended.status == 0, ended.err
    assert checked.contents() == checked.whole(name)


@pytest.mark.skipif(sys.platform == "win32", reason="rights of Unix")
@pytest.mark.parametrize("name", some_slow(["tile", "predict", "vectorise", "train"], "tile"))
def test_outputs_are_as_readable_as_the_user_wants(checked: Any, name: str) -> None:
    for mask in (0o077, 0o022):
        ended = checked.run(name, checked.out, "--overwrite", before=f"import os; os.umask({mask})")
        assert ended.status == 0, ended.err
        for path in checked.out.rglob("*"):
            wanted = 0o777 if path.is_dir() else 0o666
            assert stat.S_IMODE(path.stat().st_mode) == wanted & ~mask, path


@pytest.mark.skipif(sys.platform == "win32", reason="links of Unix")
def test_a_link_as_output_leaves_what_it_names(checked: Any) -> None:
    other = checked.out / "other.tif"
    other.write_text("of somebody else")
    link = checked.out / "forest.tif"
    link.symlink_to(other)
    assert "is there already" in checked.fails("coverage")
    assert checked.run("coverage", checked.out, "--overwrite").status == 0
    assert other.read_text() == "of somebody else"
    assert link.read_bytes() == checked.whole("coverage")["forest.tif"]


def test_two_runs_of_one_output_do_not_mix(checked: Any, tmp_path: Path) -> None:
    second = tmp_path / "second.txt"
    words = [*GEOSEG, *checked.run.words("predict", checked.out), "--resume"]
    code = (
        "import subprocess\n"
        f"with open({str(second)!r}, 'w') as told:\n"
        f"    subprocess.run({words!r}, stderr=told)"
    )
    note = ("geoseg.raster.outputs.unfinished:Unfinished.note_finished", 3, code)
    ended = checked.run("predict", checked.out, faults=[note])
    assert ended.status == 0, ended.err
    assert "map.tif: another run is making it" in second.read_text()
    assert checked.contents() == checked.whole("predict")
