"""Activation maps as a person asks for them, in words and paths; made the job that makes them.

What the command and the function share: options mean the same in both, and are checked alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import OptionError
from geoseg.inference.cam.files import CamOutputs
from geoseg.inference.cam.known import known_classes
from geoseg.inference.cam.making import Guides
from geoseg.inference.cam.page import cam_page
from geoseg.inference.cam.result import CamResult
from geoseg.inference.cam.run import make_cam
from geoseg.inference.cam.settings import Combine, LabelSettings, MapSettings
from geoseg.inference.settings import asked_area
from geoseg.inference.tilesasked import TilesAsked
from geoseg.models.bundle import ModelBundle
from geoseg.models.card import ModelCard
from geoseg.models.opening import open_model
from geoseg.processors import thread_count
from geoseg.raster.grid import Grid
from geoseg.raster.named import Named, area_of, opened
from geoseg.raster.outputs.checks import refuse_inputs, refuse_inside
from geoseg.raster.scene import Scene


@dataclass(frozen=True, kw_only=True, eq=False)
class CamAsked(TilesAsked):
    """What is asked of activation maps; fields are named as the options of ``geoseg cam``."""

    scene: Named
    """What to map."""
    output: str
    """Activation maps, a band a class."""
    model: ModelBundle | str
    """A model of whole patches."""
    weak_labels: str | None = None
    """Class raster to make of the maps."""
    confidence: str | None = None
    """By how much the class chosen stands out."""
    combine: Combine = "argmax"
    """How maps become classes."""
    refine: bool = False
    """Whether labels follow what looks alike."""
    known: str | None = None
    """Data set of patches whose classes are known."""
    reference: str | None = None
    """Class codes of pixels."""
    assume_aligned: bool = False
    """Whether they lie on the scene pixel by pixel though they do not say so."""
    patches: int = 500
    """On how many patches of them a regression is fitted."""
    fitted_model: str | None = None
    """Where to write the model with the regression in it."""
    report: str | None = None
    """Page for a browser to write."""
    tile: int | None = None
    """Side of a tile, px; as the model learned by default."""
    upsampling: str = "bilinear"
    """From the network's small maps to pixels."""
    bias: bool = False
    """Whether the bias of the last layer is added."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes in which each tile is seen."""
    seed: int = 0
    """Chooses the patches of the reference."""
    workers: int | None = None
    """Threads; one a processor by default."""

    def __post_init__(self) -> None:
        thread_count(self.workers)
        if self.weak_labels is not None:
            return
        call = self.spelled
        todo = f"about weak labels: give {call('weak_labels')} too"
        if self.reference is None and (self.refine or self.combine != "argmax"):
            raise OptionError(f"{call('combine')} and {call('refine')} are {todo}")
        if self.min_area is not None:
            raise OptionError(f"{call('min_area')} is {todo}")

    @property
    def outputs(self) -> CamOutputs:
        """What is written where."""

        def path(text: str | None) -> Path | None:
            return None if text is None else Path(text)

        return CamOutputs(
            maps=Path(self.output),
            weak_labels=path(self.weak_labels),
            confidence=path(self.confidence),
            report=path(self.report),
            fitted_model=path(self.fitted_model),
        )

    @contextmanager
    def job(self) -> Iterator[CamJob]:
        """Check what is asked and open what it is of, for as long as the context lasts.

        Raises
        ------
        OptionError, InputError, OutputError
            Options do not go together, a file cannot be read, or an output not written.
        """
        outputs = self.outputs
        outputs.check(overwrite=self.overwrite, reference=self.reference is not None)
        read = [self.model if isinstance(self.model, str) else None, self.region]
        refuse_inputs(outputs.paths, [path for path in read if path is not None])
        if self.known is not None:
            refuse_inside(outputs.paths, self.known)
        bundle = open_model(self.model) if isinstance(self.model, str) else self.model
        with ExitStack() as stack:
            scene = stack.enter_context(
                opened(self.scene, bands=self.bands, band_names=self.band_names)
            )
            yield CamJob(
                asked=self,
                scene=scene,
                outputs=outputs,
                model=bundle,
                maps=self._maps(bundle.card),
                labels=self._labels(scene.grid),
                guides=self._guides(scene, bundle.card, stack),
            )

    def _maps(self, card: ModelCard) -> MapSettings:
        return MapSettings(
            tile=card.tile if self.tile is None else self.tile,
            stride=self.stride,
            blend=self.blend,
            upsampling=self.upsampling,
            bias=self.bias,
            tta=self.tta,
            scales=self.scales,
            batch=self.batch_size,
            precision=self.precision,
            homogenise=self.homogenise,
        )

    def _labels(self, grid: Grid) -> LabelSettings:
        return LabelSettings(
            combine=self.combine,
            refine=self.refine,
            patches=self.patches,
            seed=self.seed,
            **asked_area(self.min_area, grid),
        )

    def _guides(self, scene: Scene, card: ModelCard, stack: ExitStack) -> Guides:
        known = reference = None
        area = area_of(self.region, scene.grid)
        if self.reference is not None:
            reference = stack.enter_context(Scene.open(self.reference))
        if self.known is not None:
            known = known_classes(self.known, scene.grid, card.legend)
        return Guides(
            area=area,
            area_name=self.region,
            reference=reference,
            assume_aligned=self.assume_aligned,
            known=known,
            known_name=None if self.known is None else Path(self.known).name,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class CamJob:
    """Activation maps that can be made: all that they are of is open."""

    asked: CamAsked
    """As they were asked for."""
    scene: Scene
    """What is mapped."""
    outputs: CamOutputs
    """What is written where."""
    model: ModelBundle
    """The model."""
    maps: MapSettings
    """How maps are made."""
    labels: LabelSettings
    """How labels are made of them."""
    guides: Guides
    """What else is known."""

    @property
    def pixels(self) -> int:
        """Pixels of the scene."""
        return self.scene.grid.window.area

    @property
    def work(self) -> int:
        """Pixels to be finished: twice each where labels are made."""
        twice = self.outputs.labelled or self.guides.reference is not None
        return self.pixels * (2 if twice else 1)

    def run(self, *, progress: Callable[[int], None] | None) -> CamResult:
        """Make them; see `geoseg.inference.cam.run.make_cam`."""
        return make_cam(
            self.scene,
            self.outputs,
            model=self.model,
            maps=self.maps,
            labels=self.labels,
            guides=self.guides,
            page=None if self.outputs.report is None else self._page,
            device=self.asked.device,
            workers=thread_count(self.asked.workers),
            overwrite=self.asked.overwrite,
            progress=progress,
        )

    def _page(self, made: CamResult) -> str:
        card = self.model.card
        return cam_page(
            made,
            legend=card.legend,
            scene=self.scene.name,
            model=card.name,
            bands=card.bands,
            settings=made.settings,
        )
