"""What a function returns names outputs by where they go, however deep the name lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from geoseg.raster.outputs.telling import told


class Pair(NamedTuple):
    path: Path
    count: int


@dataclass(frozen=True)
class Inner:
    path: Path
    other: Path = Path("/elsewhere/b.tif")


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    pair: Pair
    kind: type = Inner
    texts: tuple[str, ...] = ("wrote /here/a.tif",)
    deep: dict[str, list[Inner]] = field(default_factory=dict)


def spoken(text: str) -> str:
    return text.replace("/here", "s3://maps")


def test_names_are_told_at_every_depth_and_nothing_else_is_changed() -> None:
    here = Path("/here/a.tif")
    value = Outer(inner=Inner(here), pair=Pair(here, 3), deep={"/here": [Inner(here)]})
    found = told(value, spoken)
    assert found is value
    assert found.inner.path == "s3://maps/a.tif"
    assert found.inner.other == Path("/elsewhere/b.tif")
    assert found.pair == Pair("s3://maps/a.tif", 3)  # type: ignore[arg-type]
    assert isinstance(found.pair, Pair)
    assert found.kind is Inner
    assert found.texts == ("wrote s3://maps/a.tif",)
    assert found.deep["s3://maps"][0].path == "s3://maps/a.tif"
