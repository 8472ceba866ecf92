"""The command against a server on loopback: where, when, and how it is typed."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from earthengine_server import World
from earthengine_world import LC08, landsat_image

from geoseg.cli import _run
from geoseg.compositing.earthengine import client

BOX = "499980,5498490,502110,5510000"
WHEN = "--start 2018-04-01 --end 2018-10-01"
PLACE = f"--region {BOX} --crs EPSG:32633"


def three_dates() -> World:
    """Three dates of a strip."""
    images = [
        landsat_image(seed, f"2018-0{3 + seed}-02", shape=(400, 90), corner=(500010, 5510010))
        for seed in (1, 2, 3)
    ]
    return World(collections={LC08: images})


def command_of(url: str, folder: Any, capsys: Any, monkeypatch: Any) -> Any:
    """Return what runs the command in a folder, impatiently: status, output, errors."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv(client.URL_VARIABLE, url)
    monkeypatch.setattr(client.Patience, "__init__", _impatient(client.Patience.__init__))

    def command(line: str) -> tuple[int, str, str]:
        status = _run(["composite", *shlex.split(line)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def _impatient(init: Any) -> Any:
    def quick(self: Any, **given: Any) -> None:
        init(self, **({"first": 0.01, "tries": 6} | given))

    return quick


def typed(line: str, url: str) -> list[str]:
    """Words of a process of its own."""
    words = shlex.split(f"composite {line} --earth-engine-url {url}")
    return [sys.executable, "-m", "geoseg", *words]
