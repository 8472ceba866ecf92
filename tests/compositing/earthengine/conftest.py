"""A made world of images behind a server on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from earthengine_server import World, clean_client, serve
from earthengine_world import LC08, landsat_image

from geoseg.compositing.earthengine.client import Asker, Patience


@pytest.fixture
def world() -> World:
    """Four dates in summer and one in winter, the third on a grid of its own."""
    return World(
        collections={
            LC08: [
                landsat_image(1, "2018-04-01"),
                landsat_image(2, "2018-05-03"),
                landsat_image(3, "2018-06-04", corner=(500_025.0, 5_500_065.0)),
                landsat_image(4, "2018-09-30"),
                landsat_image(5, "2018-10-01"),
            ]
        }
    )


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with clean_client(), serve(world) as address:
        yield address


@pytest.fixture
def asker() -> Asker:
    return Asker(Patience(tries=8, first=0.01, most=0.05))
