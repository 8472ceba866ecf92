"""One colour for a group of images: what is measured, solved and, if it makes nothing better, left.

Nothing is written here; see `geoseg.compositing.homogenise.run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from geoseg.compositing.homogenise.block import block_lines
from geoseg.compositing.homogenise.colour import Colour, Limits, Line
from geoseg.compositing.homogenise.dodge import dodged
from geoseg.compositing.homogenise.fit import fit_measured, group_target, reference_target
from geoseg.compositing.homogenise.haze import prepare
from geoseg.compositing.homogenise.images import check_group, check_placed, unplaced
from geoseg.compositing.homogenise.measure import ImageStatistics, measure
from geoseg.compositing.homogenise.moments import moment_lines
from geoseg.compositing.homogenise.outliers import cut, usual
from geoseg.compositing.homogenise.pairs import Pair, find_pairs
from geoseg.compositing.homogenise.seams import Samples, Seam, overall, read_pairs
from geoseg.compositing.homogenise.settings import HomogeniseSettings
from geoseg.compositing.homogenise.standard import BandTarget, ImageLine, Standard
from geoseg.errors import GridError
from geoseg.raster.opening.handles import Handles
from geoseg.raster.scene import Scene

__all__ = ["FittedGroup", "fit_group", "seams_after"]

Say = Callable[[str], None]

_BETTER = 1e-3
"""Share by which seams must become smaller for anything to be changed."""
_WORSE = 1.1
"""Factor by which dodging may make seams larger without a word."""
_OPEN_FILES = 512
"""Over all threads; systems allow a process 1,024 or so."""


@dataclass(frozen=True, kw_only=True)
class FittedGroup:
    """What brings a group to one colour."""

    standard: Standard
    """The colour."""
    colours: tuple[Colour, ...]
    """What brings each image to it, in the order given."""
    names: tuple[str, ...]
    """What pairs count by: the images, then the reference if it is none of them."""
    seams_before: tuple[Seam, ...]
    """Differences where images meet, a pair each; those with the reference are told, too."""
    seams_after: tuple[Seam, ...]
    """The same in the new colour."""
    kept: bool
    """Whether all images stay as they are, because nothing made them agree better."""
    notes: tuple[str, ...]
    """What a person should know, a sentence each without its full stop."""


def fit_group(
    scenes: Sequence[Scene],
    *,
    settings: HomogeniseSettings,
    reference: Scene | None = None,
    workers: int = 4,
    say: Say | None = None,
    progress: Callable[[int], None] | None = None,
) -> FittedGroup:
    """Find what brings images to one colour.

    Every image is read once, and what images share twice (by `overlap` and to measure seams).
    Without a reference the images are brought to the middle of what they are, and never become
    less alike: where seams would not be smaller after, all stay as they are.

    Parameters
    ----------
    scenes
        Of the same bands and type, each on its own grid.
    settings
        How.
    reference
        An image whose colour all are brought to; it may be one of them, or of the same files.
    workers
        Threads; the result does not depend on it.
    say
        Told what is being done, in a few words, as it begins. Notes are not told.
    progress
        Called with numbers of pixels read.

    Raises
    ------
    BandError
        Bands or types differ, or the bands that a cast is balanced over are not there.
    ColourError
        No image has a valid pixel.
    GridError
        Overlaps are asked for and an image has no coordinate system, or none overlap.
    OptionError
        There is nothing to bring to one colour.
    RasterReadError
        A file cannot be read.
    """
    tell, count = say or (lambda _: None), progress or (lambda _: None)
    handles = Handles(max(8, _OPEN_FILES // workers))
    scenes = [scene.opened_by(handles) for scene in scenes]
    marks = [scene.fingerprint() for scene in scenes]
    anchor = None
    if reference is not None:
        mark = reference.fingerprint()
        anchor = marks.index(mark) if mark in marks else None
    outside = None if reference is None or anchor is not None else reference.opened_by(handles)
    everything = scenes if outside is None else [*scenes, outside]
    check_group(everything)
    check_placed(everything, settings)
    try:
        limits: list[Limits | None] = [None] * len(everything)
        if settings.outliers is not None:
            tell("looking for outliers")
            limits = [usual(scene, settings.outliers, workers=workers) for scene in everything]
        views = [cut(scene, ends) for scene, ends in zip(everything, limits, strict=True)]
        tell("measuring the images")
        found = []
        for scene, view in zip(everything, views, strict=True):
            cell = None if settings.dodge is None or scene is outside else settings.dodge.cell
            found.append(measure(view, workers=workers, cell=cell))
            count(scene.grid.window.area)
        tell("comparing the images where they meet")
        pairs = find_pairs([scene.grid for scene in everything])
        before, samples = read_pairs(
            views,
            pairs,
            workers=workers,
            sample=settings.method in (None, "overlap"),
            progress=count,
        )
        work = _Fit(scenes, everything, marks, found, settings, reference, anchor)
        fitted = work.run(pairs, before, samples, limits)
        tell("comparing them again")
        made = []
        for one in (fitted, without_dodge(fitted)):
            if one is not None:
                behind = [*scenes, *views[len(scenes) :]]
                after = seams_after(behind, one.colours, before, workers=workers)
                made.append(replace(one, seams_after=tuple(after)))
            count(sum(pair.grid.window.area for pair in pairs) // 2)
        return work.guarded(*made)
    finally:
        handles.close()


def without_dodge(fitted: FittedGroup) -> FittedGroup | None:
    """Return the same without local adjustment; None where there is none."""
    if fitted.standard.dodge is None:
        return None
    return replace(
        fitted,
        standard=replace(fitted.standard, dodge=None),
        colours=tuple(replace(colour, local=None) for colour in fitted.colours),
    )


def seams_after(
    everything: Sequence[Scene],
    colours: Sequence[Colour],
    before: Sequence[Seam],
    *,
    workers: int = 4,
    progress: Callable[[int], None] | None = None,
) -> list[Seam]:
    """Measure seams once more in the new colour.

    Parameters
    ----------
    everything
        The images, and those behind them that have no new colour (the reference).
    colours
        Of the images.
    before
        What was measured of the pairs.
    workers, progress
        See `geoseg.compositing.homogenise.seams.read_pairs`.
    """
    views = [
        scene if k >= len(colours) or colours[k].is_identity else scene.recoloured(colours[k])
        for k, scene in enumerate(everything)
    ]
    changed = [k for k, view in enumerate(views) if view is not everything[k]]
    again = [
        k
        for k, seam in enumerate(before)
        if seam.pixels and (seam.pair.first in changed or seam.pair.second in changed)
    ]
    made, _ = read_pairs(views, [before[k].pair for k in again], workers=workers, progress=progress)
    after = list(before)
    for k, seam in zip(again, made, strict=True):
        after[k] = seam
    return after


class _Fit:
    """A group whose statistics are known."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        everything: Sequence[Scene],
        marks: Sequence[str],
        found: Sequence[ImageStatistics],
        settings: HomogeniseSettings,
        reference: Scene | None,
        anchor: int | None,
    ) -> None:
        self.scenes, self.everything, self.marks = scenes, everything, marks
        self.found, self.settings = found, settings
        self.reference = reference
        self.outside = len(everything) > len(scenes)
        self.anchor = len(scenes) if self.outside else anchor
        self.notes: list[str] = []

    def run(
        self,
        pairs: Sequence[Pair],
        before: Sequence[Seam],
        samples: Sequence[Samples],
        limits: Sequence[Limits | None],
    ) -> FittedGroup:
        """Find colours, without asking whether they are of use."""
        settings = self.settings
        method = settings.method or ("overlap" if samples else "moments")
        if method == "overlap" and not samples:
            raise GridError(_no_overlap(pairs, self.scenes))
        empty = [image.name for image in self.found if not image.count]
        if empty:
            self.notes.append(f"without a valid pixel, and left as they are: {_some(empty)}")
        self.notes += unplaced(self.everything)
        ahead = prepare(self.found, haze=settings.haze, cast=settings.cast)
        ready = [
            image.brought([b.gain for b in lines], [b.offset for b in lines])
            for image, lines in zip(self.found, ahead, strict=True)
        ]
        target = self._target(ready)
        standard = Standard(
            method=method,
            bands=target,
            reference=None if self.reference is None else self.reference.name,
            haze=settings.haze,
            cast=settings.cast,
            dodge=settings.dodge,
            outliers=settings.outliers,
        )
        colours: list[Colour]
        if method == "histogram":
            parts = zip(self.scenes, self.found, strict=False)
            colours = [fit_measured(standard, scene, image) for scene, image in parts]
        else:
            if method == "overlap":
                lines, said = block_lines(samples, self.found, target, anchor=self.anchor)
                self.notes += said
            else:
                lines = [
                    moment_lines(i.bands, target) if i.count else tuple(Line() for _ in i.bands)
                    for i in self.found
                ]
            standard = replace(standard, images=self._image_lines(lines))
            colours = [
                self._colour(scene, image, line, standard)
                for scene, image, line in zip(self.scenes, self.found, lines, strict=False)
            ]
        return FittedGroup(
            standard=standard,
            colours=tuple(c.within(ends) for c, ends in zip(colours, limits, strict=False)),
            names=tuple(scene.name for scene in self.everything),
            seams_before=tuple(before),
            seams_after=(),
            kept=False,
            notes=(),
        )

    def _target(self, images: Sequence[ImageStatistics]) -> tuple[BandTarget, ...]:
        """Colour of the reference, or that in the middle of all."""
        if self.anchor is not None:
            return reference_target(images[self.anchor])
        return group_target(images)

    def _image_lines(self, lines: Sequence[Sequence[Line]]) -> tuple[ImageLine, ...]:
        known: dict[str, ImageLine] = {}
        parts = zip(self.scenes, self.marks, lines, self.found, strict=False)
        for scene, mark, line, image in parts:
            made = ImageLine(
                name=scene.name,
                fingerprint=mark,
                gains=tuple(band.gain for band in line),
                offsets=tuple(band.offset for band in line),
                readings=image.digests,
            )
            known.setdefault(mark, made)
        return tuple(known.values())

    def _colour(
        self, scene: Scene, image: ImageStatistics, line: Sequence[Line], standard: Standard
    ) -> Colour:
        local = None if standard.dodge is None else dodged(image, line, standard.dodge)
        return Colour.linear(
            scene, [band.gain for band in line], [band.offset for band in line], local
        )

    def guarded(self, fitted: FittedGroup, plain: FittedGroup | None = None) -> FittedGroup:
        """Leave all as it is, where nothing has become better; and say what is to be said.

        Parameters
        ----------
        fitted
            What was asked for.
        plain
            The same without local adjustment, if there is one.
        """
        before, after = self._inner(fitted.seams_before), self._inner(fitted.seams_after)
        undodged = math.nan if plain is None else self._inner(plain.seams_after)
        enough = before * (1 - _BETTER)
        if math.isnan(before):
            if self.anchor is None:
                self.notes.append(
                    "no two images meet with a reading on both sides, so nothing tells whether "
                    "they agree better now"
                )
        elif not self.outside and not after < enough:
            if plain is None or not undodged < enough:
                return self._kept(fitted, before, after)
            fitted = plain
            self.notes.append(
                "images are not dodged: evened out each by itself they would differ by "
                f"{after:.3g} standard deviations where they meet, without by {undodged:.3g}"
            )
        elif after > undodged * _WORSE:
            self.notes.append(
                "dodging evens out each image by itself, so that images agree less where they "
                f"meet: they differ by {after:.3g} standard deviations, without it by "
                f"{undodged:.3g}"
            )
        return replace(fitted, notes=tuple(self.notes))

    def _inner(self, seams: Sequence[Seam]) -> float:
        """Measure of all seams but those with a reference that is none of the images."""
        return overall([seam for seam in seams if not self._with_outside(seam)])

    def _with_outside(self, seam: Seam) -> bool:
        return self.outside and len(self.scenes) in (seam.pair.first, seam.pair.second)

    def _kept(self, fitted: FittedGroup, before: float, after: float) -> FittedGroup:
        same = [tuple(Line() for _ in image.bands) for image in self.found]
        but = "" if self.settings.outliers is None else " but for outliers"
        self.notes.append(
            f"all images stay as they are{but}: where they meet they differ by {before:.3g} "
            f"standard deviations, and would by {after:.3g}"
        )
        standard = replace(
            fitted.standard,
            bands=self._target(self.found),  # with the haze and the cast that stay
            haze=None,
            cast=None,
            dodge=None,
            images=self._image_lines(same),
        )
        return replace(
            fitted,
            standard=standard,
            colours=tuple(
                Colour.identity(scene).within(colour.limits)
                for scene, colour in zip(self.scenes, fitted.colours, strict=True)
            ),
            seams_after=fitted.seams_before,
            kept=True,
            notes=tuple(self.notes),
        )


def _no_overlap(pairs: Sequence[Pair], scenes: Sequence[Scene]) -> str:
    if any(pair.kind == "overlap" for pair in pairs):
        why = "the images overlap, and nowhere have two of them enough readings in common"
    else:
        why = "no two images overlap"
    return f"{scenes[0].paths[0]}: {why}; choose moments or histogram"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
