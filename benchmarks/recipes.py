"""The recipes of the five papers, each run once from a made set to the paper's table.

One command makes the sets, runs the recipes as a user would, and writes the papers' numbers beside
what came out::

    python benchmarks/recipes.py --work scratch --keep benchmarks/results

A recipe whose report is there is not run again. Sets and networks are as small as a processor can
bear: the table shows that the methods work together, and nothing about scores on the papers' data.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.testing.layouts import (
    made_agde,
    made_alpine,
    made_cropland,
    made_deepglobe,
    made_sugarcane,
)

PIPELINES = Path(__file__).parents[1] / "pipelines"


@dataclass(frozen=True, kw_only=True)
class Medium:
    """A recipe and what it is run on."""

    name: str
    words: str
    """What the set is, and what differs from the recipe."""
    make: Callable[[Path], object]
    sets: Sequence[str]


ALL = (
    Medium(
        name="agde",
        words="40 + 20 photographs of 72 × 96 px; `unet-small` for agde's network and for FCN-8s,"
        " 30 epochs",
        make=lambda folder: made_agde(folder, train=40, test=20, height=72, width=96),
        sets=(
            *("epochs=30", "size=96", "tile=96", "networks=['fcn8s']"),
            *("train.model=unet-small", "train-others.model=unet-small"),
        ),
    ),
    Medium(
        name="alpine",
        words="120 pairs of 128 and 64 px; `unet-small` for all networks, 15 and 10 epochs",
        make=lambda folder: made_alpine(folder, images=120, size=128),
        sets=(
            *("epochs=15", "deeplab-epochs=10", "size=64", "weights=[]", "train.model=unet-small"),
            *("restricted.model=unet-small", "deeplab.model=unet-small"),
            "deeplab.model-option=widths=16,32,64",
        ),
    ),
    Medium(
        name="cropland-cam",
        words="one scene of 800 × 800 px; ResNet-50 for 3 epochs, U-Net for 10",
        make=lambda folder: made_cropland(folder, size=800),
        sets=("resnet-epochs=3", "unet-epochs=10", "patches=60", "unet-size=64"),
    ),
    Medium(
        name="deepglobe",
        words="60 images of 192 px; `unet-m46` for ResNet-34, 15 epochs and 2 cycles of 3",
        make=lambda folder: made_deepglobe(folder, images=60, size=192),
        sets=(
            *("epochs=15", "cycles=2", "length=3", "size=96", "crop=48", "tile=48", "stride=9"),
            *("min-area=90px", "train.model=unet-m46", "train-random.model=unet-m46"),
        ),
    ),
    Medium(
        name="sugarcane",
        words="8 images of 320 px, 3 of them tested on; `unet-small`, 15 epochs",
        make=lambda folder: made_sugarcane(folder, images=8, size=320),
        sets=(
            *("images=['01','02','03','04','05']", "test=['06','07','08']", "epochs=15"),
            *("size=64", "tile=128", "train.model=unet-small"),
        ),
    ),
)


def run(one: Medium, work: Path) -> dict[str, Any]:
    """Make the set and run the recipe, unless its report is there; return the report."""
    data, out = work / one.name, work / f"out-{one.name}"
    if not (out / "report.json").exists():
        if not data.exists():
            one.make(data)
        words = [sys.executable, "-m", "geoseg", "run", str(PIPELINES / one.name / "recipe.toml")]
        words += ["--data", str(data), "-o", str(out), "--quiet"]
        for text in one.sets:
            words += ["--set", text]
        began = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        print(f"{one.name}: {time.perf_counter() - began:.0f} s", flush=True)
    found: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return found


def table(found: Sequence[tuple[Medium, dict[str, Any]]]) -> str:
    """Write the page that is kept."""
    lines = [
        "# The five recipes, from made sets to the papers' tables",
        "",
        "Each recipe of `pipelines/` ran once, from one command, on a set made in the layout that"
        " the paper's data have (`geoseg.testing.layouts`), with networks and epochs that a"
        " processor can bear; rows have the recipe's names. Published numbers are of the papers'"
        " own data: what stands beside them shows that the steps work together, and is no"
        f" reproduction of a score. One run each, {platform.machine()}, CPU.",
    ]
    for one, report in found:
        lines += ["", f"## {one.name}", "", f"{one.words[0].upper()}{one.words[1:]}.", ""]
        lines += ["| | score | published | here |", "|---|---|---|---|"]
        for row in report["expected"]:
            if row["ours"] is None:  # a network that was left out
                continue
            published = "" if row.get("published") is None else f"{row['published']:.3f}"
            lines.append(f"| {row['of']} | {row['score']} | {published} | {row['ours']:.3f} |")
    lines += [
        "",
        "`python benchmarks/recipes.py --work scratch --keep benchmarks/results` makes this.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, kept")
    parser.add_argument("--keep", type=Path, help="folder to keep the table in")
    parser.add_argument("--only", action="append", help="a recipe; again for more")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in ALL if arguments.only is None or one.name in arguments.only]
    page = table([(one, run(one, arguments.work)) for one in chosen])
    if arguments.keep is None:
        print(page)
    else:
        (arguments.keep / "recipes.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
