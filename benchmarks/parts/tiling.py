"""A scene cut into patches."""

from __future__ import annotations

import shutil

from parts.measure import Job
from parts.part import Context, Part
from parts.prediction import scene

PEERS = (
    ("reading alone, threads", "num", "read", "", False),
    ("rasterio, processes, deflate", "num", "processes", "deflate", False),
    ("rasterio loop, uncompressed", "num", "loop", "", False),
    ("rasterio loop, deflate", "num", "loop", "deflate", True),
    ("gdal_retile, uncompressed", "num", "retile", "", True),
    ("gdal_retile, deflate", "num", "retile", "deflate", True),
    ("geoai, deflate", "pred", "geoai", "", True),
    ("torchgeo sampler, deflate", "pred", "torchgeo", "deflate", True),
    ("Raster Vision, arrays", "rv", "rastervision", "", True),
)
OURS = (("geoseg", "npy"), ("geoseg, GeoTIFF, deflate", "geotiff"))
IMPORTS = "rasterio,geopandas,geoseg.cli.tile,geoseg.patches.tile"


def make(context: Context) -> list[Part]:
    """Return the one table."""
    side = context.sizes.tiling
    image = scene(context, side, side)
    jobs = []
    for name, storage in OURS:
        out = context.work / f"patches_{storage}"
        words = context.geoseg(
            IMPORTS, "tile", image, "--size", 256, "--max-nodata", 1, "--format", storage,
            "--workers", context.workers, "--overwrite", "-o", out,
        )  # fmt: skip
        jobs.append(Job(name=name, words=words, ours=True, out=out))
    small = scene(context, 300, 300)
    warm = [str(small) if word == str(image) else word for word in jobs[0].words]
    context.warm(tuple(warm))
    for name, environment, way, compress, slow in PEERS:
        python = context.peers.python(environment)
        if python is None and way in ("read", "loop", "processes"):
            python = context.ours
        if python is None or (way == "retile" and shutil.which("gdal_retile.py") is None):
            continue
        out = context.work / f"patches_{way}_{compress}"
        options = ("--compress", compress, "--workers", context.workers)
        words = context.script(python, "peers/tile.py", way, image, out, *options)
        jobs.append(Job(name=name, words=words, slow=slow, out=out))
    return [
        Part(
            name="tiling",
            title="Cutting patches",
            about=f"A scene of {side:,}² px, four bands of uint16, deflate, into patches of 256². "
            "geoseg's arrays and GeoTIFF come with statistics, an index and the rule of no data; "
            f"`{OURS[0][0]}` writes arrays. {context.workers} threads or processes.",
            jobs=tuple(jobs),
            megapixels=side * side / 1e6,
        )
    ]
