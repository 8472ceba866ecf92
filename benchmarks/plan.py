"""What a large area costs: hours, machines, bytes and requests, from measured rates.

    python benchmarks/plan.py --area-km2 100000 --pixel 0.8
    python benchmarks/plan.py --area-km2 100000 --pixel 0.8 --rate 12.5 --stride 57 --machines 20

Rates are those of `benchmarks/results/side_by_side.json`, or `--rate`: million pixels a second of
one machine at stride 144 as `geoseg predict` runs there, for example on a card of yours. The page
`docs/planning.md` is made of the same lines.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
MODELS = {"null": "null model", "tiny": "tiny U-Net", "resnet34": "ResNet-34 U-Net"}
STRIDES = (144, 57)
TILE = 288
MEASURED_STRIDE = 144
SCENE = 32_768
"""Side of a scene, px."""
WEEK = 168.0


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast one machine was."""

    name: str
    """The network."""
    mpx_s: float
    """Million pixels a second at stride 144, those without data counted."""
    scene_bytes: float
    """Bytes that a pixel of its scene takes in the file."""
    map_bytes: float
    """Bytes that a pixel of its map takes in the file, overviews included."""
    where: str
    """On what, and when."""


@dataclass(frozen=True, kw_only=True)
class Means:
    """What there is to work with, and how files are laid out."""

    link_gbit: float = 10.0
    """What the storage gives all machines together, Gbit/s."""
    request_mb: float = 2.0
    """Bytes of one request, in MB: reading merges neighbouring blocks."""
    part_mb: float = 16.0
    """Bytes of one part of an upload, in MB."""

    @property
    def link_mb_s(self) -> float:
        """Return MB a second."""
        return self.link_gbit * 1000 / 8


def measured(path: Path = RESULTS / "side_by_side.json") -> list[Rate]:
    """Read what was measured; nothing if there is no file."""
    if not path.exists():
        return []
    tables: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["tables"]
    found = []
    for key, name in MODELS.items():
        table = tables.get(f"prediction-{key}")
        row = next((r for r in table["rows"] if r["name"] == "geoseg"), None) if table else None
        if table is None or row is None or "mpx_s" not in row or "scene_mb" not in table:
            continue
        pixels = table["megapixels"]
        found.append(
            Rate(
                name=name,
                mpx_s=row["mpx_s"],
                scene_bytes=table["scene_mb"] / pixels,
                map_bytes=row["out_mb"] / pixels,
                where=f"{math.isqrt(round(pixels * 1e6)):,}² px, {table['machine']}, "
                f"{table['date']}, load before {table['load']:.1f}",
            )
        )
    return found


def pixels_of(area_km2: float, pixel_m: float) -> float:
    """Return how many pixels an area has."""
    return area_km2 * 1e6 / pixel_m**2


def rate_at(mpx_s: float, stride: int) -> float:
    """Return a rate at another stride: tiles grow with the square, and time with tiles.

    Reading and writing do not grow, so a smaller stride is faster than this says.
    """
    return mpx_s * (stride / MEASURED_STRIDE) ** 2


def hours_of(pixels: float, mpx_s: float, machines: float = 1) -> float:
    """Return hours of prediction."""
    return pixels / 1e6 / mpx_s / machines / 3600


def machines_of_link(mpx_s: float, stored: float, means: Means) -> float:
    """Return how many machines of a rate the storage can feed: then it is what binds."""
    return means.link_mb_s / (mpx_s * stored)


def ground(areas: Sequence[float], pixel: float, one: Rate, means: Means) -> list[str]:
    """Return a table of pixels, bytes and requests of areas."""
    lines = [
        "| area | pixels | scenes of 32,768² | read | kept while running | written | GET | PUT |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for area in areas:
        pixels = pixels_of(area, pixel)
        read, written = pixels * one.scene_bytes, pixels * one.map_bytes
        gets, puts = read / 1e6 / means.request_mb, written / 1e6 / means.part_mb
        scenes = math.ceil(pixels / SCENE**2)
        lines.append(
            f"| {area:,.0f} km² | {pixels:.3g} | {scenes:,} | {size(read)} | "
            f"{size(pixels)} if all at once, {size(SCENE**2)} a scene | {size(written)} | "
            f"{gets:,.0f} | {puts:,.0f} |"
        )
    return lines


def hours(areas: Sequence[float], pixel: float, rates: Sequence[Rate], means: Means,
          strides: Sequence[int] = STRIDES) -> list[str]:  # fmt: skip
    """Return a table of hours, machines, and what binds."""
    heads = ["network", "stride", "Mpx/s"]
    for area in areas:
        heads += [f"{area:,.0f} km²: hours of one machine", "machines for a week"]
    heads += ["one machine reads", "machines that the storage feeds", "what binds first"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for one in rates:
        for stride in strides:
            rate = rate_at(one.mpx_s, stride)
            cells = [one.name, str(stride), short(rate)]
            most = 0
            for area in areas:
                took = hours_of(pixels_of(area, pixel), rate)
                most = math.ceil(took / WEEK)
                cells += [f"{took:,.0f}", f"{most:,}"]
            fed = machines_of_link(rate, one.scene_bytes, means)
            cells += [f"{short(rate * one.scene_bytes)} MB/s", f"{fed:,.0f}"]
            cells.append("the storage" if fed < most else "prediction")
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def size(count: float) -> str:
    """Return bytes in words."""
    for unit, factor in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} B"


def short(value: float) -> str:
    """Return a number in three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def page(areas: Sequence[float] = (100_000, 1_000_000), pixel: float = 0.8) -> str:
    """Return the tables of the page about planning, in Markdown."""
    rates, means = measured(), Means()
    if not rates:
        return "No rates yet: run `python benchmarks/run.py --only prediction`."
    lines = [
        f"Measured, {rates[0].scene_bytes:.2f} bytes a pixel of the scene's file (four bands of "
        f"uint16, deflate, 21 % without data) and {rates[0].map_bytes:.3f} of the map's:", "",
        "| network | Mpx/s at stride 144 | measured |", "|---|---|---|",
        *(f"| {one.name} | {short(one.mpx_s)} | {one.where} |" for one in rates),
        "| yours, on your card | what `geoseg predict` takes | by you: `--rate` |", "",
        f"At {pixel} m, requests of {means.request_mb:g} MB and parts of {means.part_mb:g} MB:", "",
        *ground(areas, pixel, rates[0], means), "",
        f"With storage that gives all machines together {means.link_gbit:g} Gbit/s:", "",
        *hours(areas, pixel, rates, means),
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--area-km2", type=float, required=True)
    parser.add_argument("--pixel", type=float, default=0.8, help="metres")
    parser.add_argument("--rate", type=float, help="Mpx/s of one machine at stride 144")
    parser.add_argument("--stride", type=int, help="px [default: 144 and 57]")
    parser.add_argument("--machines", type=int, default=1)
    parser.add_argument("--link-gbit", type=float, default=Means.link_gbit)
    parser.add_argument("--request-mb", type=float, default=Means.request_mb)
    parser.add_argument("--scene-bytes", type=float, help="of a pixel in your files")
    given = parser.parse_args()
    for name in ("area_km2", "pixel", "rate", "stride", "machines", "link_gbit", "request_mb",
                 "scene_bytes"):  # fmt: skip
        value = getattr(given, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            parser.error(f"--{name.replace('_', '-')} must be more than 0, not {value}")
    rates = measured()
    if given.rate is not None:
        like = rates[0] if rates else None
        rates = [
            Rate(
                name="yours",
                mpx_s=given.rate,
                scene_bytes=like.scene_bytes if like else 8.0,
                map_bytes=like.map_bytes if like else 0.1,
                where="--rate",
            )
        ]
    if not rates:
        parser.error("no rates: give --rate, or run benchmarks/run.py --only prediction first")
    if given.scene_bytes is not None:
        rates = [Rate(**{**vars(one), "scene_bytes": given.scene_bytes}) for one in rates]
    means = Means(link_gbit=given.link_gbit, request_mb=given.request_mb)
    strides = (given.stride,) if given.stride is not None else STRIDES
    areas = (given.area_km2,)
    print("\n".join(ground(areas, given.pixel, rates[0], means)))
    print()
    print("\n".join(hours(areas, given.pixel, rates, means, strides)))
    pixels = pixels_of(given.area_km2, given.pixel)
    for one in rates if given.machines > 1 else ():
        for stride in strides:
            rate = rate_at(one.mpx_s, stride)
            fed = machines_of_link(rate, one.scene_bytes, means)
            took = hours_of(pixels, rate, min(given.machines, fed))
            print(f"\n{one.name}, stride {stride}, {given.machines} machines: {took:,.1f} hours")


if __name__ == "__main__":
    main()
