"""What geoseg needs when it runs, as it lies in this environment: pins, licences, a list of parts.

The root is `pyproject.toml`: its dependencies and the extras that users may ask for, and what
those need in turn. Tools of tests, of documentation and of this file are no part of it.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FOR_USERS = ("cloud", "cluster", "onnx", "parquet", "tensorboard")
"""Extras that are asked for where geoseg runs."""

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "HPND",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Python-2.0",
    "Unlicense",
    "Zlib",
}
"""Licences, by SPDX, under which anybody may use, change and pass on, also beside Apache-2.0."""

EXCEPTIONS = {"LLVM-exception"}
"""What follows ``WITH`` and gives more rights, not fewer."""

SPELT = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache-2": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "BSD-3-Clause License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "New BSD": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",
}
"""How older packages spell them."""

CARDS = re.compile(r"nvidia-.+|cuda-toolkit")
"""NVIDIA's own, which torch's builds for cards fetch and builds for processors do not."""

Found = dict[str, metadata.Distribution]


def wanted(extras: Iterable[str] = FOR_USERS) -> list[str]:
    """Return what `pyproject.toml` asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(need for extra in extras for need in optional[extra])]


def closure(needs: Iterable[str]) -> tuple[Found, list[str]]:
    """Follow needs to the end; also what is not installed, in the order of names."""
    found: Found = {}
    missing: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(need) for need in needs]
    while waiting:
        need = waiting.pop()
        name, extras = canonicalize_name(need.name), frozenset(need.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            missing.add(name)
            continue
        for text in found[name].requires or ():
            more = Requirement(text)
            asked = more.marker is None or any(
                more.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            )
            if asked:
                waiting.append(more)
    return dict(sorted(found.items())), sorted(missing)


def licence(found: metadata.Distribution) -> str:
    """Return an SPDX expression, or what the package says where that is none."""
    said = found.metadata
    expression = said.get("License-Expression")
    if expression:
        return SPELT.get(expression, expression)
    classifiers = [
        text.rpartition("::")[2].strip()
        for text in said.get_all("Classifier") or ()
        if text.startswith("License ::")
    ]
    # Some put the whole text of a licence where its name belongs.
    field = (said.get("License") or "").strip()
    short = field if field and "\n" not in field and len(field) < 60 else ""
    if short and allowed(SPELT.get(short, short)):
        return SPELT.get(short, short)
    told = [SPELT.get(text, text) for text in classifiers if text != "OSI Approved"]
    return " OR ".join(told) or short or "none said"


def allowed(expression: str) -> bool:
    """Tell whether every licence of an SPDX expression is allowed, or all of one of its choices.

    Where there are brackets, every licence has to be: what they choose between is not looked at.
    """
    brackets = "(" in expression or ")" in expression
    if brackets:
        expression = re.sub(r"[()]", " ", expression).replace(" OR ", " AND ")
    return any(
        all(_one_allowed(part.split()) for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def _one_allowed(words: list[str]) -> bool:
    match words:
        case [name]:
            return name in ALLOWED
        case [name, "WITH", exception]:
            return name in ALLOWED and exception in EXCEPTIONS
        case _:
            return False


def pins() -> int:
    """Write ``name==version`` of everything, for a tool that looks for known faults."""
    found, missing = closure(wanted())
    for name, each in found.items():
        # A build's own mark, as in 2.13.0+cpu, is unknown to those who list faults.
        print(f"{name}=={each.version.partition('+')[0]}")
    return _complain(missing)


def licences() -> int:
    """Write who is under which licence; fail where one is not allowed."""
    found, missing = closure(wanted())
    width = max(map(len, found))
    wrong = []
    for name, each in found.items():
        said = licence(each)
        if CARDS.fullmatch(name):
            print(f"{name:{width}}  {each.version:14}  NVIDIA's own, of torch for cards")
            continue
        print(f"{name:{width}}  {each.version:14}  {said}")
        if not allowed(said):
            wrong.append(f"{name} ({said})")
    for text in wrong:
        print(f"not allowed: {text}; see ALLOWED in .ci/closure.py", file=sys.stderr)
    return max(_complain(missing), int(bool(wrong)))


def keep() -> int:
    """Take an SBOM of the environment (standard input) down to what geoseg needs."""
    found, missing = closure(wanted())
    bom = json.load(sys.stdin)
    root = bom["metadata"]["component"]["bom-ref"]
    parts = [part for part in bom["components"] if canonicalize_name(part["name"]) in found]
    refs = {part["bom-ref"] for part in parts} | {root}
    bom["components"] = parts
    bom["dependencies"] = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", ()) if ref in refs]}
        for each in bom["dependencies"]
        if each["ref"] in refs
    ]
    json.dump(bom, sys.stdout, indent=2, sort_keys=True)
    print()
    return _complain(missing)


def lowest() -> int:
    """Write the lowest versions that `pyproject.toml` allows, for `requirements/lowest.txt`."""
    for line in lowest_pins():
        print(line)
    return 0


def lowest_pins() -> list[str]:
    """Return ``name==bound`` of every dependency with a lower bound, each once, by name."""
    found: dict[str, str] = {}
    for text in wanted((*FOR_USERS, "test")):
        need = Requirement(text)
        bounds = [spec.version for spec in need.specifier if spec.operator == ">="]
        if bounds:
            extras = f"[{','.join(sorted(need.extras))}]" if need.extras else ""
            found[f"{canonicalize_name(need.name)}{extras}"] = bounds[0]
    return [f"{name}=={bound}" for name, bound in sorted(found.items())]


def _complain(missing: list[str]) -> int:
    if missing:
        names = ", ".join(missing)
        print(f"not installed here, so not looked at: {names}", file=sys.stderr)
    return int(bool(missing))


COMMANDS: dict[str, Callable[[], int]] = {
    "pins": pins,
    "licences": licences,
    "keep": keep,
    "lowest": lowest,
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: closure.py {'|'.join(COMMANDS)}")
    sys.exit(COMMANDS[sys.argv[1]]())
