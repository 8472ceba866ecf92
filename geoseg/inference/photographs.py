"""Many photographs, each to a map of its own, by models that are made ready once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import InputError
from geoseg.inference.engines import make_engine
from geoseg.inference.fit import fit_scale
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.models.bundle import ModelBundle
from geoseg.raster.grouping import Problem
from geoseg.raster.legend.style import is_folder_of_maps
from geoseg.raster.outputs.checks import check_output_folder
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.photographs import Photographs
from geoseg.raster.scene import Scene


@dataclass(frozen=True, kw_only=True)
class PhotographMaps:
    """What a run did."""

    output: Path
    """Folder of class rasters."""
    maps: tuple[str, ...]
    """Their names, in the order of the photographs."""
    pixels: dict[str, int]
    """Pixels of each class in all of them, by name, in the order of the legend."""
    nodata: int
    """Pixels without a class."""
    problems: tuple[Problem, ...]
    """Photographs that cannot be used."""
    tiles: int
    """Tiles computed."""
    seconds: float
    """Wall time."""
    notes: tuple[str, ...]
    """What the user should know."""


def predict_photographs(
    photographs: Photographs,
    output: str | Path,
    *,
    models: Sequence[ModelBundle],
    settings: PredictSettings | None = None,
    band_names: Sequence[str] | None = None,
    bands: Sequence[str] | None = None,
    device: str = "auto",
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> PhotographMaps:
    """Predict photographs and write a folder of maps.

    Parameters
    ----------
    photographs
        What to predict.
    output
        Folder to make: ``NAME.tif`` for the photograph ``NAME.jpg``, a class raster of its size as
        it is shown, without a place on Earth. Nothing is there until all of it is.
    models, settings, device, workers, overwrite, progress
        As for `geoseg.inference.predict.predict`.
    band_names, bands
        What the bands of each are called, and which to use.

    Raises
    ------
    InputError
        None of the photographs can be used; those of some that cannot are listed.
    ModelError, OptionError
        The models do not go together.
    OutputError
        The folder is there already, or cannot be written.
    """
    began = time.perf_counter()
    target = check_output_folder(
        output, overwrite=overwrite, holds=is_folder_of_maps, what="class rasters"
    )
    settings = fit_scale(settings or PredictSettings(), [bundle.card for bundle in models])
    engine = make_engine(models, settings, device=device)
    pixels: Counter[str] = Counter(dict.fromkeys(models[0].card.legend.names, 0))
    maps: list[str] = []
    problems = list(photographs.problems)
    notes: tuple[str, ...] = ()
    nodata = tiles = 0
    with TemporaryFolder(target) as hidden:
        try:
            folder = hidden.path / "maps"
            folder.mkdir()
            for path in photographs.paths:
                name = f"{Path(path).stem}.tif"
                try:
                    with Scene.open(path, band_names=band_names) as scene:
                        found = predict(
                            scene if bands is None else scene.select(bands),
                            folder / name,
                            models=models,
                            engine=engine,
                            settings=settings,
                            workers=workers,
                            progress=progress,
                        )
                except InputError as error:
                    problems.append(Problem(path, str(error)))
                    continue
                notes = notes or found.notes
                maps.append(name)
                pixels.update(found.pixels)
                nodata += found.nodata
                tiles += found.tiles
            if not maps:
                raise InputError(f"no photograph can be used; the first: {problems[0].reason}")
            hidden.publish_folder(folder)
        except OSError as error:
            raise output_error(error, target) from error
    return PhotographMaps(
        output=target,
        maps=tuple(maps),
        pixels=dict(pixels),
        nodata=nodata,
        problems=tuple(problems),
        tiles=tiles,
        seconds=time.perf_counter() - began,
        notes=notes,
    )
