"""What the server has for some settings: images, bands, labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

from geoseg.compositing.earthengine.client import Asker, connect
from geoseg.compositing.earthengine.expression import Recipe
from geoseg.compositing.earthengine.labels import LabelSource, label_source
from geoseg.compositing.earthengine.settings import EarthEngineSettings, Place
from geoseg.compositing.reduce import MOST_DATES
from geoseg.errors import BandError, EarthEngineError, OptionError
from geoseg.raster.placing import outline

__all__ = ["ASSETS", "Asked", "ask_for"]

ASSETS = "https://earthengine.googleapis.com/v1/projects/earthengine-public/assets/"
"""Where the public catalogue of Earth Engine has its addresses."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the server was found to have for some settings."""

    recipe: Recipe
    """The composite, of collections that have images."""
    images: Mapping[str, tuple[str, ...]]
    """Collection → names of its images."""
    labels: LabelSource | None
    """Labels, if they are wanted."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all images."""
        return tuple(name for names in self.images.values() for name in names)

    def inputs(self) -> dict[str, str]:
        """Return what stands for the files of a local composite: collections, and their images."""
        return {
            ASSETS + name: blake2b("\n".join(images).encode(), digest_size=16).hexdigest()
            for name, images in self.images.items()
        }


def ask_for(settings: EarthEngineSettings, place: Place, asker: Asker) -> Asked:
    """Connect, and find out which images there are.

    Raises
    ------
    EarthEngineError
        The server knows nobody, cannot be reached, or has no image.
    BandError
        A collection has no such band.
    """
    around = tuple(outline(place.grid))
    connect(project=settings.project, url=settings.url, asker=asker)
    chosen = settings.chosen
    whole = Recipe(
        collections=settings.collections,
        bands=tuple(chosen),
        period=settings.period,
        outline=around,
        reduction=settings.reduction,
        rule=settings.rule,
    )
    images: dict[str, tuple[str, ...]] = {}
    for number, one in enumerate(settings.collections):
        here = whole.images(number)
        named = here.aggregate_array("system:index")
        found = asker.ask(f"the images of {one.id}", named.getInfo) or []
        if found:
            images[one.id] = tuple(map(str, found))
            if not one.is_known:
                there = asker.ask(f"the bands of {one.id}", here.first().bandNames().getInfo)
                lacking = [band.id for band in chosen[number] if band.id not in there]
                if lacking:
                    raise BandError(
                        f"{one.id}: has no band “{lacking[0]}”; there are: {', '.join(there)}"
                    )
    total = sum(map(len, images.values()))
    if not total:
        names = ", ".join(one.id for one in settings.collections)
        raise EarthEngineError(
            f"no image of {names} from {settings.period.start} to {settings.period.end} (excluded) "
            "touches the region; choose other days, another region or collection"
        )
    if total > MOST_DATES:
        raise OptionError(f"{total} images are more than can be counted; shorten the period")
    kept = [n for n, one in enumerate(settings.collections) if one.id in images]
    recipe = replace(
        whole,
        collections=tuple(whole.collections[n] for n in kept),
        bands=tuple(whole.bands[n] for n in kept),
    )
    labels = None
    if settings.labels is not None:
        labels = label_source(
            settings.labels.collection,
            band=settings.labels.band,
            choice=settings.labels.choice,
            period=settings.period,
            outline=around,
            asker=asker,
        )
    return Asked(recipe=recipe, images=images, labels=labels)
