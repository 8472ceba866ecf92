"""Which share of zones is of a class."""

from __future__ import annotations

from parts.measure import Job, asked
from parts.part import Context, Part

WIDTH = 16384
MAKE = """
import coverage_peers
raster, zones, rows = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
coverage_peers.make_raster(raster, rows)
coverage_peers.make_zones(zones, rows)
"""
SAY = """
from coverage_peers import BY_CENTRE, EXACT, LEGEND
print(json.dumps({"exact": EXACT, "centre": BY_CENTRE, "legend": LEGEND}))
"""


def make(context: Context) -> list[Part]:
    """Return the one table."""
    rows = context.sizes.coverage
    raster = context.work / f"classes_{rows}.tif"
    zones = context.work / f"zones_{rows}.gpkg"
    if not zones.exists():
        asked(context.code(MAKE, raster, zones, rows))
    said = asked(context.code(SAY))
    out = context.work / "coverage.gpkg"
    words = (
        context.ours, "-W", "ignore", "-m", "geoseg", "-q", "coverage", str(raster), "--overwrite",
        "--target", "forest", "--classes", said["legend"], "--workers", str(context.workers),
        "--zones", str(zones), "-o", str(out),
    )  # fmt: skip
    jobs = [Job(name="geoseg", words=words, ours=True, out=out)]
    python = context.peers.python("num")
    if python is not None:
        places = (str(raster), str(zones))
        jobs += [
            Job(name="exactextract", words=(python, "-c", said["exact"], *places)),
            Job(
                name="rasterstats, by centres", words=(python, "-c", said["centre"], *places),
                slow=True,
            ),
        ]  # fmt: skip
    return [
        Part(
            name="coverage",
            title="Coverage of 1,000 zones",
            about=f"A class raster of {rows:,} × {WIDTH:,} px and 1,000 stars of 200 corners. "
            "Whole processes, imports included, for all. geoseg measures areas on the ellipsoid "
            "and writes a file; exactextract runs on one thread.",
            jobs=tuple(jobs),
            megapixels=rows * WIDTH / 1e6,
        )
    ]
