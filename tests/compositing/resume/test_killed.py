"""Composites that are killed at random moments and gone on with: the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLING = '''
"""Make a composite again and again until it is whole; all runs but the last are killed."""

import json, os, random, signal, sys, time
from pathlib import Path

from geoseg.compositing import making
from geoseg.compositing.composite import composite
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.opening import open_products
from geoseg.compositing.plan import COMPOSITE
from geoseg.compositing.reduce import Reduction
from geoseg.compositing.settings import CompositeSettings
from geoseg.compositing.target import target_grid
from geoseg.raster.outputs import unfinished
from geoseg.raster.outputs.unfinished import finished_parts

asked = json.loads(sys.argv[1])
draw = random.Random(asked["seed"])
unfinished.EVERY_SECONDS, unfinished.TIMES_AS_LONG = 0.0, 0
making._MOST_PIXELS = 512 * 520


def make(out, **more):
    products = open_products(asked["dates"], quality="fmask=fmask").products
    reduction = Reduction(method=asked["method"], percentile=asked["percentile"])
    settings = CompositeSettings(
        bands=("red", "nir"), rule=ClearRule(), reduction=reduction, dtype=asked["dtype"]
    )
    grid = target_grid(products, ("red", "nir"), extent=asked["extent"]).grid
    area = {}
    if asked["region"]:
        from geoseg.raster.vector import read_region
        area = {"area": read_region(asked["region"], grid), "area_name": asked["region"]}
    counts = Path(out).with_name("counts.tif") if asked["counts"] else None
    return composite(products, out, grid, settings=settings, counts=counts, **area, **more)


def die_at(event):
    """Be killed by the n-th write, flush or renaming, before it happens or after."""
    left = [event]

    def fatal(call):
        def counted(*given, **named):
            left[0] -= 1
            if left[0] == 0 and event % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*given, **named)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return counted

    for name in ("pwrite", "fsync"):
        setattr(os, name, fatal(getattr(os, name)))
    for name in ("replace", "rename", "unlink"):
        setattr(Path, name, fatal(getattr(Path, name)))


def run(call):
    """Do it in a process of its own; tell how it ended."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


began = time.monotonic()
assert ended(run(lambda: make(asked["whole"]))) == 0
takes = time.monotonic() - began
out, kills, before = asked["out"], 0, 0
while kills < asked["kills"]:
    workers = draw.randint(1, 3)
    resume = lambda: make(out, resume=True, workers=workers)
    if kills % 3 == 2:  # at any time
        child = run(resume)
        time.sleep(draw.uniform(0, takes))
        os.kill(child, signal.SIGKILL)
    else:
        event = int(10 ** draw.uniform(0, 2.3))
        child = run(lambda: (die_at(event), resume()))
    code = ended(child)
    assert code in (0, -9), code
    if code == 0 and finished_parts(out, COMPOSITE) == 0:  # whole: again from the start
        for path in Path(out).parent.iterdir():
            path.unlink()
        before = 0
        continue
    kills += 1
    kept = finished_parts(out, COMPOSITE)
    # What is finished stays so, until all is and the folders go.
    assert kept >= before or Path(out).exists(), (kept, before)
    before = kept
assert ended(run(lambda: make(out, resume=True))) == 0
print(json.dumps({"kills": kills}))
'''

WAYS = {
    "tiles": {},
    "tiles, counts apart": {"counts": True, "shift": 7.4, "extent": "union"},
    "rows": {"rows": True, "method": "percentile", "percentile": 30.0, "dtype": "uint16"},
    "rows, region": {
        "rows": True,
        "counts": True,
        "method": "medoid",
        "region": "600150,4967000,645000,4999000",
    },
}
USUAL = {
    "counts": False,
    "extent": "first",
    "method": "median",
    "percentile": None,
    "dtype": "float32",
    "region": None,
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kills", [4, pytest.param(12, marks=pytest.mark.slow)])
def test_a_composite_killed_at_random_moments_becomes_the_same_file(
    dates, out, whole, tmp_path, way, kills
):
    way = dict(way)
    paths = dates(**{k: way.pop(k) for k in ("rows", "shift") if k in way})
    asked = USUAL | way
    asked |= {"dates": [str(p) for p in paths], "out": str(out), "whole": str(whole)}
    asked |= {"kills": kills, "seed": kills}
    script = tmp_path / "killing.py"
    script.write_text(KILLING)
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(asked)],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"kills": kills}
    assert files(out.parent) == files(whole.parent)
