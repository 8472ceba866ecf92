"""A prediction as a person asks for it, in words and paths; made the job that does it.

What the command and the function share: options mean the same in both, and are checked alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from geoseg.errors import OptionError
from geoseg.inference.engines import Engine, engine_of
from geoseg.inference.outputs import Outputs
from geoseg.inference.photographs import PhotographMaps, predict_photographs
from geoseg.inference.predict import Prediction, predict
from geoseg.inference.settings import DEFAULT_TILE, PredictSettings, asked_area
from geoseg.inference.tilesasked import TilesAsked
from geoseg.inference.unfinished import check_leftover, kept_rows
from geoseg.models.builtin import choose_models
from geoseg.models.bundle import ModelBundle
from geoseg.processors import thread_count
from geoseg.raster.cover.region import Region
from geoseg.raster.legend.style import is_folder_of_maps
from geoseg.raster.named import Named, area_of, opened
from geoseg.raster.outputs.checks import check_output_folder
from geoseg.raster.photographs import Photographs, photographs_to_map
from geoseg.raster.scene import Scene


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictAsked(TilesAsked):
    """What is asked of a prediction; fields are named as the options of ``geoseg predict``."""

    scene: Named
    """A scene, or photographs."""
    output: str
    """Class raster to write; of photographs a folder of them."""
    models: Sequence[ModelBundle | str] = ()
    """Models whose probabilities are averaged; none for what is chosen."""
    tile: int = DEFAULT_TILE
    """Side of a tile, px."""
    overlap: float | None = None
    """Share of a tile that its neighbour covers again, in place of the distance."""
    scale: int | None = None
    """n to predict at 1:n."""
    probabilities: str | None = None
    """Raster of a band a class to write."""
    confidence: str | None = None
    """Raster of the chosen class's probability to write."""
    compile: bool = False
    """Whether the network is compiled first."""
    workers: int | None = None
    """Threads; one a processor by default. Of a cluster, of each of its workers."""
    cluster: str | None = None
    """Address of a dask scheduler, or "local"."""
    resume: bool = False
    """Whether to go on from what a stopped run left."""
    or_many: str = ""
    """What else may be asked there of several scenes, in words after "for one scene"."""

    def __post_init__(self) -> None:
        thread_count(self.workers)
        call = self.spelled
        if self.stride is not None and self.overlap is not None:
            raise OptionError(
                f"{call('stride')} and {call('overlap')} say the same thing; give one of them"
            )
        if self.overlap is not None and not 0 <= self.overlap < 1:
            raise OptionError(
                f"{call('overlap')} is a share of a tile, from 0 to below 1, not {self.overlap}"
            )

    @property
    def settings(self) -> PredictSettings:
        """How it is predicted; all but the area of small components, which depends on the scene.

        OptionError where options make no sense.
        """
        stride = self.stride
        if self.overlap is not None:
            stride = max(1, round(self.tile * (1 - self.overlap)))
        return PredictSettings(
            tile=self.tile,
            stride=stride,
            blend=self.blend,
            tta=self.tta,
            scale=self.scale,
            batch=self.batch_size,
            precision=self.precision,
            compile=self.compile,
            homogenise=self.homogenise,
        )

    @property
    def thread_count(self) -> int:
        """Threads of this process."""
        return thread_count(self.workers)

    def photographs(self) -> PhotographsJob | None:
        """Open photographs that get a map each in a folder; None where one scene is meant.

        Raises
        ------
        OptionError, InputError, OutputError
            What is asked is for scenes alone, nothing can be read, or the folder not made.
        """
        settings = self.settings
        if isinstance(self.scene, Scene):
            return None
        many = photographs_to_map(self.sources, self.output)
        if many is None:
            return None
        self._check_photographs()
        check_output_folder(
            self.output, overwrite=self.overwrite, holds=is_folder_of_maps, what="class rasters"
        )
        with opened(many.paths[0], band_names=self.band_names) as first:
            models = choose_models(self.models, first)
            settings = replace(settings, **asked_area(self.min_area, first.grid))
        return PhotographsJob(asked=self, photographs=many, models=models, settings=settings)

    @property
    def sources(self) -> list[str]:
        """What was named, as texts; nothing of a scene that is open."""
        if isinstance(self.scene, Scene):
            return []
        if isinstance(self.scene, str | Path):
            return [str(self.scene)]
        return [str(name) for name in self.scene]

    def _check_photographs(self) -> None:
        """Refuse what does not go with a map for each photograph."""
        call = self.spelled
        if self.resume:
            raise OptionError(
                f"{call('resume')} is for one scene{self.or_many}: a folder of photographs is made"
                " whole"
            )
        if self.cluster is not None:
            raise OptionError(
                f"{call('cluster')} is for one scene{self.or_many}: photographs are predicted here"
            )
        if any(v is not None for v in (self.probabilities, self.confidence, self.region)):
            raise OptionError(
                f"{call('probabilities')}, {call('confidence')} and {call('region')} are for one"
                " scene; give one photograph and an output that ends in .tif"
            )

    @contextmanager
    def job(self, *, say: Callable[[str], None] | None = None) -> Iterator[SceneJob]:
        """Check what is asked of one scene and open it, for as long as the context lasts.

        Parameters
        ----------
        say
            Told, a sentence without its full stop, what a user should know before it begins.

        Raises
        ------
        OptionError, InputError, OutputError
            Options make no sense, a file cannot be read, or an output not written.
        """
        settings = self.settings
        wanted = Outputs.of(self.output, self.probabilities, self.confidence)
        # With resume, what is there is looked at when it is known what is to be there.
        wanted.check(overwrite=self.overwrite or self.resume)
        check_leftover(wanted.paths, resume=self.resume, overwrite=self.overwrite)
        nothing = not kept_rows(self.output) and not wanted.classes.exists()
        if say is not None and self.resume and nothing:
            say(f"nothing is kept of {self.output}; it begins with the first row")
        with opened(self.scene, bands=self.bands, band_names=self.band_names) as scene:
            models = choose_models(self.models, scene)
            settings = replace(settings, **asked_area(self.min_area, scene.grid))
            area = area_of(self.region, scene.grid)
            yield SceneJob(asked=self, scene=scene, models=models, settings=settings, area=area)


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneJob:
    """A scene that can be predicted."""

    asked: PredictAsked
    """As it was asked for."""
    scene: Scene
    """What is predicted."""
    models: Sequence[ModelBundle]
    """By what."""
    settings: PredictSettings
    """How."""
    area: Region | None
    """Where; everywhere if None."""

    def engine(self) -> AbstractContextManager[Engine | None]:
        """Reach the cluster that was asked for, models made ready in it; None where none was."""
        asked = self.asked
        return engine_of(self.models, self.settings, asked.device, asked.cluster, asked.workers)

    def run(
        self, *, engine: Engine | None, keep: bool, progress: Callable[[int], None] | None
    ) -> Prediction:
        """Predict it; see `geoseg.inference.predict.predict`.

        Parameters
        ----------
        engine
            What `engine` gave.
        keep
            Whether finished rows outlive this run if it is stopped; they do where it takes the
            place of those of another, which go when it is done.
        progress
            Called with numbers of finished pixels.
        """
        asked = self.asked
        return predict(
            self.scene,
            asked.output,
            models=self.models,
            settings=self.settings,
            probabilities=asked.probabilities,
            confidence=asked.confidence,
            area=self.area,
            area_name=asked.region,
            engine=engine,
            device=asked.device,
            workers=asked.thread_count,
            overwrite=asked.overwrite,
            keep=keep or kept_rows(asked.output) > 0,
            resume=asked.resume,
            progress=progress,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotographsJob:
    """Photographs that can be predicted."""

    asked: PredictAsked
    """As it was asked for."""
    photographs: Photographs
    """What is predicted."""
    models: Sequence[ModelBundle]
    """By what."""
    settings: PredictSettings
    """How."""

    def run(self, *, progress: Callable[[int], None] | None) -> PhotographMaps:
        """Predict them; see `geoseg.inference.photographs.predict_photographs`."""
        asked = self.asked
        return predict_photographs(
            self.photographs,
            asked.output,
            models=self.models,
            settings=self.settings,
            band_names=asked.band_names,
            bands=asked.bands,
            device=asked.device,
            workers=asked.thread_count,
            overwrite=asked.overwrite,
            progress=progress,
        )
