"""The median of many dates."""

from __future__ import annotations

from pathlib import Path

from parts.measure import Job, asked
from parts.part import Context, Part

DATES = 12
PEERS = (
    ("numpy.nanmedian, windows in threads", "windows", True),
    ("xarray + dask (rioxarray)", "xarray", False),
    ("odc-stac + dask", "odc", False),
    ("stackstac + dask", "stackstac", True),
)
LIST = """
import composite
names = [composite.PRODUCT.format(number + 1) for number in range(int(sys.argv[1]))]
print(json.dumps({"names": names}))
"""
QUIET = {"OMP_NUM_THREADS": "1"}


def make(context: Context) -> list[Part]:
    """Return the one table."""
    side = context.sizes.dates
    size = f"{side}x{side}"
    work = context.work / "dates"
    folder = work / f"{DATES}-{size}-0"

    def own(step: str) -> tuple[str, ...]:
        return context.script(
            context.ours, "composite.py", "--work", work, "--step", f"{step} {size}", "--dates",
            DATES, "--workers", context.workers,
        )  # fmt: skip

    folder.mkdir(parents=True, exist_ok=True)
    asked(own("make"))
    context.warm(own("composite"))
    out: Path = folder / "out" / "out.tif"
    jobs = [
        Job(name="geoseg", words=own("composite"), ours=True, out=out, environment=QUIET),
        Job(name="reading alone", words=own("read"), ours=True, environment=QUIET),
    ]
    python = context.peers.python("num")
    names = asked(context.code(LIST, DATES))["names"]
    for name, way, slow in PEERS if python is not None else ():
        theirs = folder / "out" / f"{way}.tif"
        words = context.script(
            str(python), "composite_peers.py", way, theirs, context.workers,
            *(folder / one for one in names),
        )  # fmt: skip
        jobs.append(
            Job(name=name, words=words, slow=slow, out=theirs, compared=True, environment=QUIET)
        )
    return [
        Part(
            name="composites",
            title="Median of dates",
            about=f"{DATES} dates × 7 bands × {side:,}², uint16, deflate, 30 % clouds, from files "
            "to a file of float32. Seconds hold the imports here, for all. geoseg's file is a COG "
            "with overviews and the number of clear dates. *Same* is of the first band, to 1e-6.",
            jobs=tuple(jobs),
            megapixels=7 * side * side / 1e6,
        )
    ]
