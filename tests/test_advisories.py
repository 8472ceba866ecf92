"""Known faults are looked up in a copy of advisories, where the network is out of reach."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


advisories = loaded(ROOT / ".ci" / "advisories.py")


def ranged(*events: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [dict([each]) for each in events]}]}


def advisory(name: str, affected: dict[str, Any], **more: Any) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": name}
    return {
        "id": "X-1",
        "summary": "It  falls.",
        "affected": [{"package": package} | affected],
    } | more


TWO = (("fixed", "4"), ("introduced", "3"), ("fixed", "2"), ("introduced", "1"))


@pytest.mark.parametrize(
    ("affected", "version", "expected"),
    [
        (ranged(("introduced", "0"), ("fixed", "2.0")), "1.9", True),
        (ranged(("introduced", "0"), ("fixed", "2.0")), "2.0rc1", True),
        (ranged(("introduced", "0"), ("fixed", "2.0")), "2.0", False),
        (ranged(("introduced", "1.5"), ("fixed", "2.0")), "1.4", False),
        (ranged(("introduced", "1.5"), ("fixed", "2.0")), "1.10", True),
        (ranged(("introduced", "1.5")), "99", True),
        (ranged(("introduced", "1"), ("last_affected", "2")), "2.0.0", True),
        (ranged(("introduced", "1"), ("last_affected", "2")), "2.0.1", False),
        # Two stretches, their events in no order.
        (ranged(*TWO), "2.5", False),
        (ranged(*TWO), "3.5", True),
        # A version that is none: told of rather than not.
        (ranged(("introduced", "0"), ("fixed", "in spring")), "7", True),
        (ranged(("introduced", "long ago"), ("fixed", "8")), "7", True),
        # Commits say nothing of versions.
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, "1", False),
        ({"versions": ["1.0", "1.1"]}, "1.1.0", True),
        ({"versions": ["1.0", "1.1", "2004d"]}, "1.2", False),
    ],
)  # fmt: skip
def test_a_version_is_affected_or_not(affected: Any, version: str, expected: bool) -> None:
    assert advisories.hit(affected, version) == expected


def test_faults_are_those_of_what_is_pinned_under_any_spelling() -> None:
    all_versions = ranged(("introduced", "0"))
    known = [
        advisory("Some.Package", all_versions),
        advisory("other", all_versions, id="X-2"),
        advisory("some-package", all_versions, id="X-3", withdrawn="2024-01-01T00:00:00Z"),
        {"id": "X-4", "affected": [{"package": {"ecosystem": "npm", "name": "some-package"}}]},
        {"no": "advisory"},
    ]
    found, seen = advisories.faults({"some-package": "1"}, known)
    assert found == ["some-package 1: X-1 It falls."]
    assert seen == 4


def run(source: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    pins = tmp_path / "pins.txt"
    pins.write_text("one==1.0\ntwo==2.0\n", encoding="utf-8")
    command = [sys.executable, str(ROOT / ".ci" / "advisories.py"), str(pins), str(source)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=dict(os.environ)
    )


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_and_a_zip_are_read_alike(tmp_path: Path, packed: bool) -> None:
    source = tmp_path / "copy"
    text = json.dumps(advisory("one", {"versions": ["1.0"]}))
    if packed:
        with zipfile.ZipFile(source, "w") as copy:
            copy.writestr("deep/X-1.json", text)
            copy.writestr("README.md", "not one")
    else:
        (source / "deep").mkdir(parents=True)
        (source / "deep" / "X-1.json").write_text(text, encoding="utf-8")
        (source / "README.md").write_text("not one", encoding="utf-8")
    done = run(source, tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "one 1.0: X-1 It falls.",
        "2 packages, 1 advisories, 1 known faults",
    ]


def test_nothing_found_is_fine(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    text = json.dumps(advisory("one", {"versions": ["0.9"]}))
    (tmp_path / "copy" / "X-1.json").write_text(text, encoding="utf-8")
    assert run(tmp_path / "copy", tmp_path).returncode == 0


@pytest.mark.parametrize("content", [None, b"no zip", b""])
def test_what_holds_no_advisories_is_one_line_and_no_success(
    tmp_path: Path, content: bytes | None
) -> None:
    source = tmp_path / "copy"
    if content is None:
        source.mkdir()
    else:
        source.write_bytes(content)
    done = run(source, tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "copy" in line
    assert "advisories" in line
