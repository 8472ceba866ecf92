"""Many images to one colour, beside copying them."""

from __future__ import annotations

from parts.measure import Job, asked
from parts.part import Context, Part

PIECES = 3
METHODS = ("moments", "histogram", "overlap", "overlap dodge")
MAKE = """
import homogenise
homogenise.make_pieces(Path(sys.argv[1]), *map(int, sys.argv[2:]))
"""


def make(context: Context) -> list[Part]:
    """Return the one table."""
    side = context.sizes.pieces
    folder = context.work / f"pieces_{side}"
    asked(context.code(MAKE, folder, PIECES, side, side))
    jobs = []
    for step in ("copy", *METHODS[-1:]) if context.is_short else ("copy", *METHODS):
        words = context.script(
            context.ours, "homogenise.py", "--work", context.work, "--workers", context.workers,
            "--step", step, "--folder", folder,
        )  # fmt: skip
        name = "copying" if step == "copy" else f"geoseg, {step.replace(' ', ' + ')}"
        out = folder / ("copy" if step == "copy" else f"out_{step.split()[0]}")
        jobs.append(Job(name=name, words=words, ours=True, out=out))
    return [
        Part(
            name="homogenisation",
            title="Many images to one colour",
            about=f"{PIECES} images of {side:,}² px that share 15 % of their width, four bands of "
            "uint16. No peer does this in one step; *copying* reads each image once and writes it "
            "by the same reader and writer, geoseg reads it twice.",
            jobs=tuple(jobs),
            beside="copying",
            rounds=1,
            megapixels=PIECES * side * side / 1e6,
        )
    ]
