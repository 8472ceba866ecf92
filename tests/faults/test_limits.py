"""Memory that is refused, rights that are missing, other locales and zones, disks that go away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and rights of Linux")

NAMES = ["tile", "predict", "clean", "composite", "vectorise", "homogenise", "coverage", "train"]
WRITE = "geoseg.raster.cog.spool:Spool.write_at"
CONV = "torch.nn.modules.conv:Conv2d.forward"
LIMIT = """
import resource
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + ({mib} << 20),) * 2)
"""
"""No more than so much memory beyond what the process has."""
NO_RIGHTS = """
import ctypes
header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0
"""
"""Let root obey the modes of files, as others do."""


def some_slow(names: Iterable[Any], *quick: Any) -> list[Any]:
    """All names for a test, those that a quick check leaves out marked."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", some_slow(NAMES, "tile", "composite"))
@pytest.mark.parametrize("mib", some_slow([15, 40, 100], 15))
def test_memory_that_is_refused_anywhere_is_one_line(
    checked: Any, name: str, mib: int, tmp_path: Path
) -> None:
    # Run once before, so that libraries are there: what they do while they are loaded is theirs.
    # With less than some MiB, Python itself waits for ever for threads that could not begin.
    (tmp_path / "warm").mkdir()
    words = checked.run.words(name, tmp_path / "warm")
    warm = f"from geoseg import cli; assert cli._run({words!r}) == 0\n"
    ended = checked.run(name, checked.out, before=warm + LIMIT.format(mib=mib))
    if ended.status == 0:
        assert checked.contents() == checked.whole(name)
        return
    assert ended.status == 1, ended.err
    assert "Traceback" not in ended.err
    assert ended.lines[-1].startswith("Error: "), ended.err
    assert "memory" in ended.lines[-1], ended.err
    assert all(path.name.startswith(".") for path in checked.out.iterdir())
    checked.again(name)


def test_memory_that_is_refused_to_libraries_is_one_line(checked: Any) -> None:
    ended = checked.run("predict", checked.out, before=LIMIT.format(mib=600))
    assert ended.status == 1
    assert "out of memory; use fewer --workers" in ended.lines[-1]
    assert not list(checked.out.iterdir())


@pytest.mark.parametrize("name", some_slow(NAMES, "predict", "vectorise"))
def test_a_folder_that_may_not_be_written_is_one_line(checked: Any, name: str) -> None:
    checked.out.chmod(0o555)
    try:
        ended = checked.run(name, checked.out, before=NO_RIGHTS)
    finally:
        checked.out.chmod(0o755)
    assert ended.status == 1, ended.err
    assert ended.lines[-1].startswith("Error: "), ended.err
    assert "permitted" in ended.lines[-1] or "written" in ended.lines[-1], ended.err
    assert len([line for line in ended.lines if not line.startswith("Note: ")]) == 1
    assert not list(checked.out.iterdir())
    checked.again(name)


@pytest.mark.parametrize("name", some_slow(NAMES, "tile", "predict"))
def test_a_folder_that_loses_its_rights_midway_is_one_line(checked: Any, name: str) -> None:
    where = {"vectorise": ("geoseg.raster.pieces:Pieces._decode", 1), "train": (CONV, 40)}
    fault = (*where.get(name, (WRITE, 2)), f"import os; os.chmod({str(checked.out)!r}, 0o555)")
    try:
        ended = checked.run(name, checked.out, before=NO_RIGHTS, faults=[fault])
    finally:
        checked.out.chmod(0o755)
    assert "Traceback" not in ended.err
    assert ended.status in (0, 1), ended.err
    if ended.status:
        assert ended.lines[-1].startswith(("Error: ", "Note: ")), ended.err
        checked.again(name, "--overwrite")


COMMA = """
import locale, os
os.environ["LOCPATH"] = {folder!r}
assert locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
assert locale.localeconv()["decimal_point"] == ","
"""


@pytest.fixture(scope="session")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a locale that writes 0.5 as 0,5."""
    if shutil.which("localedef") is None:
        pytest.skip("localedef makes the locale")
    folder = tmp_path_factory.mktemp("locale")
    words = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    if subprocess.run(words, capture_output=True, check=False).returncode > 1:
        pytest.skip("there is nothing to make the locale of")
    return folder


@pytest.mark.parametrize("name", some_slow(NAMES, "vectorise", "coverage", "predict"))
def test_a_locale_with_commas_changes_nothing(checked: Any, name: str, german: Path) -> None:
    ended = checked.run(name, checked.out, before=COMMA.format(folder=str(german)))
    assert ended.status == 0, ended.err
    assert checked.contents() == checked.whole(name)


@pytest.mark.parametrize("zone", some_slow(["XXX-25:61", "Asia/Kathmandu", ":/etc/hostname"]))
@pytest.mark.parametrize("name", ["composite", "vectorise"])
def test_time_zones_change_nothing(checked: Any, name: str, zone: str) -> None:
    before = f"import os, time; os.environ['TZ'] = {zone!r}; time.tzset()"
    ended = checked.run(name, checked.out, before=before)
    assert ended.status == 0, ended.err
    assert checked.contents() == checked.whole(name)


@pytest.mark.parametrize(
    "name", some_slow([name for name in NAMES if name != "train"], "composite", "predict")
)
def test_a_disk_that_is_unmounted_midway_is_one_line(checked: Any, name: str) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(checked.out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount disks")
    gone = f"import subprocess; subprocess.run(['umount', '-l', {str(checked.out)!r}], check=True)"
    where = {"vectorise": ("geoseg.raster.pieces:Pieces._decode", 1)}
    ended = checked.run(name, checked.out, faults=[(*where.get(name, (WRITE, 2)), gone)])
    if os.path.ismount(checked.out):
        subprocess.run(["umount", str(checked.out)], check=True)
        pytest.fail("nothing was unmounted")
    assert ended.status == 1, ended.err
    assert "Traceback" not in ended.err
    assert ended.lines[-1].startswith("Error: "), ended.err
    assert "defect" not in ended.lines[-1], ended.err
    assert not list(checked.out.iterdir())  # nothing went where the disk had been
