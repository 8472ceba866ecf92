"""A table of the benchmark: what is run in turn, and beside what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parts.environments import Environments
from parts.measure import Job, asked

HERE = Path(__file__).resolve().parents[1]
"""The folder of benchmarks."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large everything is, px a side, and how often."""

    name: str
    null: int
    """Scene of the null model."""
    tiny: int
    """Scene of the tiny U-Net."""
    resnet: int
    """Scene of the ResNet-34 U-Net; 0 leaves that network out, everywhere."""
    tiling: int
    sieve: int
    dates: int
    """Composites: side of 12 dates."""
    pieces: int
    """Homogenisation: side of three pieces."""
    coverage: int
    """Rows of 16,384 columns, a multiple of 512."""
    patches: int
    """Patches of 128² that networks learn from."""
    width: int
    """Of the scenes of several heights."""
    heights: tuple[int, ...]
    losses: int
    """Side of a batch of losses."""
    tile: int = 288
    """Side of a tile of prediction; half of it is the stride."""
    batch: int = 8
    """Tiles together, of the peers."""


SHORT = Sizes(
    name="short", null=200, tiny=200, resnet=0, tiling=640, sieve=512, dates=256, pieces=256,
    coverage=512, patches=8, width=512, heights=(288,), losses=48,
    tile=64, batch=2,
)  # fmt: skip
USUAL = Sizes(
    name="usual", null=4096, tiny=2048, resnet=1024, tiling=8192, sieve=8192, dates=1024,
    pieces=2048, coverage=8192, patches=128, width=4096, heights=(2048, 4096, 8192), losses=288,
)  # fmt: skip
LONG = Sizes(
    name="long", null=4096, tiny=4096, resnet=2048, tiling=16384, sieve=16384, dates=2048,
    pieces=4096, coverage=16384, patches=256, width=4096, heights=(2048, 4096, 8192, 16384),
    losses=288,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every part may use."""

    work: Path
    """Scratch folder; what is made is kept for the next time."""
    ours: str
    """The Python that has geoseg."""
    peers: Environments
    """The Pythons that have the others."""
    sizes: Sizes
    """How large everything is."""
    workers: int
    """Threads that each may use."""

    @property
    def is_short(self) -> bool:
        """Return whether only to see that all works."""
        return self.sizes.name == "short"

    def warm(self, words: tuple[str, ...]) -> None:
        """Run a command once before it counts, as it compiles its loops then."""
        if not self.is_short:
            asked(words)

    def script(self, python: str, name: str, *words: object) -> tuple[str, ...]:
        """Return the command line of a script of this folder."""
        return (python, "-W", "ignore", str(HERE / name), *map(str, words))

    def code(self, lines: str, *words: object) -> tuple[str, ...]:
        """Return the command line of a few lines of Python that import scripts of this folder."""
        setup = f"import json, sys; from pathlib import Path; sys.path.insert(0, {str(HERE)!r})\n"
        return (self.ours, "-W", "ignore", "-c", setup + lines, *map(str, words))

    def geoseg(self, imports: str, *words: object) -> tuple[str, ...]:
        """Return the command line of geoseg, timed without its imports."""
        return self.script(self.ours, "timed.py", imports, "-q", *words)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A table."""

    name: str
    """In file names and in `--only`."""
    title: str
    """Its heading."""
    about: str
    """What was run, in a sentence or two."""
    jobs: tuple[Job, ...]
    """Run in this order, round after round."""
    beside: str = "geoseg"
    """The job that ratios are to."""
    megapixels: float | None = None
    """Pixels that each goes through, to say how many a second; None where that says nothing."""
    rounds: int | None = None
    """At most so many rounds."""
    scene: Path | None = None
    """The file that all read, to say how large it is."""
    many: float | None = None
    """Patches that each goes through, to say how many a second."""
