"""Small components of a class map removed."""

from __future__ import annotations

import shutil

from parts.measure import Job, asked
from parts.part import Context, Part

LEAST = 3500
PEERS = (
    ("cc3d, cleared", "cc3d", False),
    ("cc3d, filled by the nearest", "cc3d_fill", True),
    ("scipy, cleared", "scipy", True),
    ("scikit-image, cleared", "skimage", True),
)
MAKE = """
import small_components
small_components.make_map("blobs", int(sys.argv[1]), Path(sys.argv[2]))
"""


def make(context: Context) -> list[Part]:
    """Return the one table."""
    side, least = context.sizes.sieve, LEAST
    source = context.work / f"blobs_{side}.raw"
    if not source.exists():
        asked(context.code(MAKE, side, f"{source}.part"))
        source.with_name(f"{source.name}.part").rename(source)
    python = context.peers.python("num")
    ways = [("geoseg", "geoseg", context.ours), ("geoseg, one thread", "geoseg-1", context.ours)]
    if python is not None:
        ways.append(("rasterio sieve", "rasterio", python))
        if shutil.which("gdal_sieve.py") is not None:
            ways.append(("gdal_sieve", "gdal", python))
    jobs = []
    for name, way, by in ways:
        out = context.work / f"sieved_{way}.raw"
        words = context.script(
            by, "small_components.py", "--one", way, "--size", side, "--source", source,
            "--target", out, "--workers", context.workers, "--min-area", least,
        )  # fmt: skip
        jobs.append(Job(name=name, words=words, ours=way.startswith("geoseg"), out=out))
    for name, way, slow in PEERS if python is not None else ():
        out = context.work / f"sieved_{way}.raw"
        words = context.script(str(python), "peers/components.py", way, source, out, side, least)
        jobs.append(Job(name=name, words=words, slow=slow, out=out))
    return [
        Part(
            name="components",
            title="Removing small components",
            about=f"A map of {side:,}² px, seven classes in blobs with 2 % of single pixels, "
            f"raw bytes to raw bytes; 4-connected parts below {least:,} px. geoseg gives each to "
            "its largest neighbour until none is left; the sieves make one pass; *cleared* means "
            "that nothing takes its place.",
            jobs=tuple(jobs),
            megapixels=side * side / 1e6,
        )
    ]
