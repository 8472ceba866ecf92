"""Looks pinned versions up in a copy of a list of known faults, for machines without a network.

The copy is a folder or a zip of advisories in OSV's JSON, one a file: OSV offers such an export
of all that it knows of PyPI.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

Advisory = dict[str, Any]
_LOWEST, _HIGHEST = Version("0.dev0"), Version("99999!0")


def read(source: Path) -> Iterator[Advisory]:
    """Go through the advisories of a folder or a zip; other files beside them are passed over."""
    if source.is_dir():
        for path in sorted(source.rglob("*.json")):
            yield json.loads(path.read_bytes())
    else:
        with zipfile.ZipFile(source) as copy:
            for name in sorted(copy.namelist()):
                if name.endswith(".json"):
                    yield json.loads(copy.read(name))


def hit(affected: Advisory, version: str) -> bool:
    """Tell whether what is affected holds a version: listed, or within a range."""
    ours = Version(version)
    if any(_same(each, ours) for each in affected.get("versions", ())):
        return True
    return any(
        _within(each.get("events", ()), ours)
        for each in affected.get("ranges", ())
        if each.get("type") == "ECOSYSTEM"
    )


def _within(events: Iterable[dict[str, str]], ours: Version) -> bool:
    """Walk the events of a range, in order of versions, as far as ours."""
    inside = False
    for event in sorted(events, key=lambda event: (_place(event), "fixed" not in event)):
        ((kind, _),) = event.items()
        if kind == "last_affected":
            inside = inside and _place(event) >= ours
        elif kind in {"introduced", "fixed"} and _place(event) <= ours:
            inside = kind == "introduced"
    return inside


def _same(text: str, ours: Version) -> bool:
    try:
        return Version(text) == ours
    except InvalidVersion:
        return False


def _place(event: dict[str, str]) -> Version:
    ((kind, text),) = event.items()
    try:
        return _LOWEST if text == "0" else Version(text)
    except InvalidVersion:
        # What cannot be placed makes a range longer: a fault is told of too often, not too seldom.
        return _LOWEST if kind == "introduced" else _HIGHEST


def faults(pins: dict[str, str], advisories: Iterable[Advisory]) -> tuple[list[str], int]:
    """Return a line for each fault of a pinned version, and how many advisories were looked at."""
    found, seen = set(), 0
    for advisory in advisories:
        if "id" not in advisory or "affected" not in advisory:
            continue
        seen += 1
        if "withdrawn" in advisory:
            continue
        for affected in advisory["affected"]:
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") != "PyPI" or name not in pins:
                continue
            if hit(affected, pins[name]):
                said = " ".join(str(advisory.get("summary", "")).split())
                found.add(f"{name} {pins[name]}: {advisory['id']} {said}".rstrip())
    return sorted(found), seen


def main(pinned: Path, source: Path) -> int:
    """Write the faults of what a file pins; fail where there are any, or nothing to look in."""
    lines = pinned.read_text(encoding="utf-8").split()
    pins = dict(line.split("==", 1) for line in lines)
    try:
        found, seen = faults(pins, read(source))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"{source} cannot be read as advisories: {error}", file=sys.stderr)
        return 2
    if not seen:
        wants = "it should be a folder or zip of OSV's JSON"
        print(f"{source} holds no advisories; {wants}", file=sys.stderr)
        return 2
    for line in found:
        print(line)
    print(f"{len(pins)} packages, {seen} advisories, {len(found)} known faults")
    return int(bool(found))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: advisories.py PINS FOLDER|ZIP")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
