"""geoseg beside its peers, in turn in one run: everything that is claimed of speed, re-run.

    python benchmarks/run.py --work scratch                   # all of it
    python benchmarks/run.py --work scratch --only prediction,tiling --rounds 5
    python benchmarks/run.py --work scratch --short --no-peers  # only whether all of it works
    python benchmarks/run.py --list

Scenes, models and the peers' environments (of `benchmarks/peers/*.txt`; 10 GB) are made in the
folder --work and kept there. Each measurement is a process of its own. In a round each job of a
table runs once, one after the other, so that all of them see the same machine; slow peers run in
the first round alone (with --long: in all). Ratios are taken round by round. Tables go to --keep:
side_by_side.md, and side_by_side.json, in which a part that is run again replaces itself alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from parts.environments import Environments
from parts.measure import Run, asked, measured, remove
from parts.part import LONG, SHORT, USUAL, Context, Part
from parts.report import figures, table

HERE = Path(__file__).resolve().parent
PARTS = (
    "prediction", "tiling", "components", "composites", "homogenisation", "coverage", "losses",
    "training", "start", "memory",
)  # fmt: skip
NAMED = (
    "monai", "geoai-py", "pytorch-toolbelt", "torchgeo", "rastervision-core", "lightning",
    "segmentation-models-pytorch", "torch", "rasterio", "numpy", "scipy", "scikit-image",
    "connected-components-3d", "xarray", "dask", "odc-stac", "stackstac", "exactextract",
    "rasterstats",
)  # fmt: skip
"""Packages whose versions stand above the tables."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="a folder for scenes, models and environments")
    parser.add_argument("--keep", type=Path, help="where tables go [default: benchmarks/results]")
    parser.add_argument("--only", default="", help=f"parts, of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="tiny scenes, one round")
    parser.add_argument("--long", action="store_true", help="larger scenes, every peer each round")
    parser.add_argument("--no-peers", action="store_true", help="make and use no environments")
    parser.add_argument("--alone", action="store_true", help="geoseg alone")
    parser.add_argument("--geoseg", default=sys.executable, help="the Python that has geoseg")
    parser.add_argument("--workers", type=int, help="threads that each may use [default: 4]")
    parser.add_argument("--list", action="store_true", help="name the parts, and end")
    given = parser.parse_args()
    unknown = set(filter(None, given.only.split(","))) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    if given.work is None and not given.list:
        parser.error("--work is needed: a folder for scenes, models and environments")
    return given


def alone(part: Part) -> Part:
    """Leave out all that is not geoseg, nor what ratios are to."""
    jobs = tuple(job for job in part.jobs if job.ours or job.name == part.beside)
    return replace(part, jobs=jobs)


def in_rounds(part: Part, rounds: int, *, every: bool) -> dict[str, list[Run | None]]:
    """Run the jobs of a table in turn, again and again."""
    runs: dict[str, list[Run | None]] = {job.name: [] for job in part.jobs}
    for turn in range(min(rounds, part.rounds or rounds)):
        for job in part.jobs:
            told = runs[job.name]
            if any(one is not None and one.failed for one in told) or (
                turn and job.slow and not every
            ):
                told.append(None)
                continue
            run = measured(job)
            told.append(run)
            say = run.failed or f"{run.seconds:.2f} s, {run.peak_mb:.0f} MB"
            print(f"{part.name}, round {turn + 1}: {job.name}: {say}", file=sys.stderr, flush=True)
    return runs


def agreement(context: Context, part: Part, runs: Mapping[str, list[Run | None]]) -> dict[str, Any]:
    """Return which share of the pixels is that of the job that ratios are to."""
    own = next((job.out for job in part.jobs if job.name == part.beside), None)
    found = {}
    for job in part.jobs:
        worked = any(run is not None and not run.failed for run in runs[job.name])
        if job.compared and own is not None and job.out is not None and worked:
            words = context.script(context.ours, "inputs.py", "same", own, job.out)
            valid = () if job.valid is None else (str(job.valid),)
            found[job.name] = float(asked((*words, *valid))["same"])
    return found


def measure(
    context: Context, name: str, rounds: int, *, every: bool, only_ours: bool
) -> Iterator[dict[str, Any]]:
    """Measure a part: one table or more, each as soon as it is there."""
    for part in importlib.import_module(f"parts.{name}").make(context):
        load = os.getloadavg()[0]
        if only_ours:
            part = alone(part)  # noqa: PLW2901
        runs = in_rounds(part, rounds, every=every)
        found = figures(part, runs, agreement(context, part, runs))
        found |= {"part": name, "sizes": context.sizes.name, "machine": machine(), "load": load}
        found["date"] = time.strftime("%Y-%m-%d")
        for job in part.jobs:
            if job.out is not None:
                remove(job.out)
        yield found


def machine() -> str:
    """Return the machine in words."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} processors"


def keep(folder: Path, table_: Mapping[str, Any], versions: Mapping[str, str]) -> None:
    """Put a table among those that were kept, and write all of them as a page."""
    path = folder / "side_by_side.json"
    kept: dict[str, Any] = {"tables": {}}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    tables = kept["tables"] | {table_["name"]: table_}
    kept["tables"] = dict(sorted(tables.items(), key=lambda item: PARTS.index(item[1]["part"])))
    kept["versions"] = dict(versions)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page(kept), encoding="utf-8")


def page(kept: Mapping[str, Any]) -> str:
    """Return the page of all tables."""
    versions = ", ".join(f"{name} {number}" for name, number in kept["versions"].items())
    lines = [
        "# Side by side", "",
        "geoseg and its peers, in turn in one run: `python benchmarks/run.py --work SCRATCH`. "
        "Each figure is of a process of its own: the median of its rounds, and in brackets the "
        "least and the most. *Seconds* leave out the imports of libraries and the loading of "
        "networks where a process can tell; *whole process* leaves out nothing. Ratios are of "
        "seconds, round by round, to the row that the column names. Absolute times do not travel; "
        "ratios do. Peers run with their own defaults, in environments of their own, which "
        "`benchmarks/peers/*.txt` pins.", "", f"{versions}.", "",
    ]  # fmt: skip
    for found in kept["tables"].values():
        lines += table(found)
        busy = f"load before {found['load']:.1f}" if found["load"] >= 0.5 else "otherwise idle"
        lines += [f"*{found['date']}, {found['machine']}, {busy}.*", ""]
    return "\n".join(lines)


def main() -> None:
    given = parse_arguments()
    if given.list:
        print("\n".join(PARTS))
        return
    work: Path = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    sizes = SHORT if given.short else LONG if given.long else USUAL
    peers = Environments(folder=work / ("none" if given.no_peers else "envs"))
    if not given.short and not given.no_peers:
        for line in peers.build():
            print(f"no environment {line}", file=sys.stderr)
    # Where tests run beside it, several threads would only wait for each other.
    workers = given.workers or (1 if given.short else 4)
    context = Context(work=work, ours=given.geoseg, peers=peers, sizes=sizes, workers=workers)
    folder = given.keep or (work if given.short else HERE / "results")
    words = (given.geoseg, "-c", VERSIONS, ",".join(NAMED))
    versions = asked(words) | peers.versions(*NAMED)
    rounds = 1 if given.short else given.rounds
    began = time.perf_counter()
    for name in given.only.split(",") if given.only else PARTS:
        for found in measure(context, name, rounds, every=given.long, only_ours=given.alone):
            keep(folder, found, versions)
    minutes = (time.perf_counter() - began) / 60
    print(f"{folder / 'side_by_side.md'}: {minutes:.1f} minutes", file=sys.stderr)


VERSIONS = """
import importlib.metadata as m, json, platform, sys
import geoseg
found = {"geoseg": geoseg.__version__, "Python": platform.python_version()}
for name in ("torch", "numpy", "rasterio", "numba"):
    found["geoseg's " + name] = m.version(name)
print(json.dumps(found))
"""


if __name__ == "__main__":
    main()
