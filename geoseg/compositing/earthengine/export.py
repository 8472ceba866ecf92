"""A composite as a batch task of Earth Engine: for what is too large to be fetched."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import ee

from geoseg.compositing.earthengine.asking import Asked, ask_for
from geoseg.compositing.earthengine.client import Asker
from geoseg.compositing.earthengine.expression import CLEAR, KNOWN, LABEL
from geoseg.compositing.earthengine.labels import MOST
from geoseg.compositing.earthengine.plan import MOST_EXPORTED, check_exported
from geoseg.compositing.earthengine.settings import EarthEngineSettings, ExportResult, Place
from geoseg.errors import EarthEngineError, OptionError
from geoseg.raster.grid import Grid
from geoseg.raster.placing import definition

NODATA = -9999.0
"""Of exported composites: an export cannot say that NaN is none."""
_POLLS = (5.0, 60.0)
"""Seconds between questions for a task's state, at first and at most."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where an export goes."""

    kind: Literal["drive", "gcs"]
    """Google Drive or Cloud Storage."""
    description: str
    """Of the task, and how the names of the files begin."""
    folder: str | None = None
    """In Drive, or the path in a bucket."""
    bucket: str | None = None
    """In Cloud Storage."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.,:;_-]{1,100}", self.description):
            raise OptionError(
                f"--description “{self.description}” names a task and its files: letters, digits "
                "and . , : ; _ - alone, 100 at most"
            )
        if self.kind == "gcs" and not self.bucket:
            raise OptionError("--export gcs needs the name of a bucket: --bucket")
        if self.kind == "drive" and self.bucket:
            raise OptionError("--bucket goes with --export gcs; in Drive say --export-folder")

    @property
    def where(self) -> str:
        """The place, in words."""
        if self.kind == "drive":
            return f"Google Drive, folder {self.folder}" if self.folder else "Google Drive"
        return f"gs://{self.bucket}" + (f"/{self.folder.strip('/')}" if self.folder else "")


def export(
    settings: EarthEngineSettings,
    place: Place,
    destination: Destination,
    *,
    wait: bool = True,
    asker: Asker | None = None,
    told: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> ExportResult:
    """Let Earth Engine write a composite to files of its own.

    The files, several where the composite is large, hold float32 with nodata `NODATA` in all bands,
    the counts among them, and cover the whole rectangle around a region.

    Parameters
    ----------
    settings
        What to ask for; labels, if there are any, become a second task.
    place
        Where.
    destination
        Where the files go.
    wait
        Whether to wait until the tasks are done.
    asker
        Asks the server.
    told
        Told of each task's state whenever it changes, in words.
    sleep
        Waits some seconds.

    Raises
    ------
    EarthEngineError
        The server refuses, or a task fails.
    OptionError
        The grid has more pixels than are exported.
    """
    asker = asker or Asker()
    check_exported(place.grid)
    asked = ask_for(settings, place, asker)
    tasks = {}
    for name, task in _tasks(asked, place.grid, destination).items():
        asker.ask(f"the export {name}", task.start)
        tasks[name] = task
    if wait:
        _wait(tasks, asker, told or (lambda _: None), sleep)
    return ExportResult(
        tasks={name: str(task.id) for name, task in tasks.items()},
        state="COMPLETED" if wait else "STARTED",
        where=destination.where,
        grid=place.grid,
        bands=(*asked.recipe.ids, CLEAR),
    )


def _tasks(asked: Asked, grid: Grid, destination: Destination) -> dict[str, Any]:
    """Tasks that are not started yet, by their descriptions."""
    image = asked.recipe.composite()
    counts = image.select([CLEAR])
    # All bands of an export have one type, and one nodata that is none of their values.
    values = image.select(list(asked.recipe.ids)).updateMask(counts.gt(0)).unmask(NODATA, False)
    whole = values.addBands(counts.unmask(0, False)).toFloat()
    tasks = {
        destination.description: _task(whole, NODATA, grid, destination.description, destination)
    }
    if asked.labels is not None:
        labels = asked.labels.image
        known = labels.select([LABEL]).updateMask(labels.select([KNOWN]))
        name = f"{destination.description}-labels"
        classes = known.unmask(MOST + 1, False).toUint16()
        tasks[name] = _task(classes, MOST + 1, grid, name, destination)
    return tasks


def _task(image: Any, nodata: float, grid: Grid, name: str, destination: Destination) -> Any:
    text, _ = definition(grid)
    shared: dict[str, Any] = {
        "image": image,
        "description": name,
        "crs": text,
        "crsTransform": list(grid.transform)[:6],
        "dimensions": f"{grid.width}x{grid.height}",
        "maxPixels": MOST_EXPORTED,
        "fileFormat": "GeoTIFF",
        "formatOptions": {"noData": nodata},
    }
    if destination.kind == "drive":
        return ee.batch.Export.image.toDrive(
            **shared, folder=destination.folder, fileNamePrefix=name
        )
    prefix = f"{destination.folder.strip('/')}/{name}" if destination.folder else name
    return ee.batch.Export.image.toCloudStorage(
        **shared, bucket=destination.bucket, fileNamePrefix=prefix
    )


def _wait(
    tasks: dict[str, Any],
    asker: Asker,
    told: Callable[[str], None],
    sleep: Callable[[float], None],
) -> None:
    """Ask for the tasks' states until all are done."""
    states = dict.fromkeys(tasks, "")
    pause, most = _POLLS
    left = dict(tasks)
    while left:
        for name, task in list(left.items()):
            status = asker.ask(f"the state of {name}", task.status)
            state = str(getattr(status["state"], "value", status["state"]))
            if state != states[name]:
                told(f"{name}: {state.lower().replace('_', ' ')}")
                states[name] = state
            if ee.batch.Task.State.success(state):
                del left[name]
            elif not ee.batch.Task.State.active(state):
                reason = " ".join(str(status.get("error_message") or "no reason given").split())
                raise EarthEngineError(
                    f"the export {name} ended as {state.lower()}: {reason.rstrip('.')}"
                )
        if left:
            sleep(pause)
            pause = min(most, pause * 1.5)
