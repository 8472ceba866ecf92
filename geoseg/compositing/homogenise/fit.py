"""From what was measured to a colour: the target of a group, and what brings one image to it."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.compositing.homogenise.colour import Colour, Curve, Line, written_nodata
from geoseg.compositing.homogenise.dodge import dodged
from geoseg.compositing.homogenise.histogram import histogram_curves
from geoseg.compositing.homogenise.measure import ImageStatistics, measure
from geoseg.compositing.homogenise.moments import moment_lines
from geoseg.compositing.homogenise.outliers import cut, usual
from geoseg.compositing.homogenise.standard import BandTarget, ImageLine, Standard
from geoseg.errors import ColourError
from geoseg.raster.scene import Scene

__all__ = ["fit_image", "fit_measured", "group_target", "recognise", "reference_target"]


def group_target(images: Sequence[ImageStatistics]) -> tuple[BandTarget, ...]:
    """Return the colour in the middle of a group, band by band.

    Its barycentre: the mean of the images' means, of their deviations and of their quantile
    functions, each image weighted by its valid pixels. (The mean of quantile functions is the
    barycentre of distributions for the distance of Wasserstein; that of a pool of all pixels would
    be wider than any image.) Images without a valid pixel do not enter.

    Raises
    ------
    ColourError
        None has a valid pixel.
    """
    images = [image for image in images if image.count]
    if not images:
        raise ColourError("no image has a valid pixel, so there is no colour to bring them to")
    total = sum(image.count for image in images)
    weights = [image.count / total for image in images]

    def middle(values: Sequence[float]) -> float:
        # From the first on: so images that are alike keep their values to the bit.
        first = values[0]
        return first + sum(w * (v - first) for w, v in zip(weights, values, strict=True))

    targets = []
    for bands in zip(*(image.bands for image in images), strict=True):
        quantiles = [middle(q) for q in zip(*(band.quantiles for band in bands), strict=True)]
        for i in range(1, len(quantiles)):  # by a bit, from rounding
            quantiles[i] = max(quantiles[i - 1], quantiles[i])
        targets.append(
            BandTarget(
                name=bands[0].name,
                mean=middle([band.mean for band in bands]),
                deviation=max(middle([band.deviation for band in bands]), 0.0),
                quantiles=tuple(quantiles),
            )
        )
    return tuple(targets)


def reference_target(image: ImageStatistics) -> tuple[BandTarget, ...]:
    """Return the colour of one image, which others are brought to.

    Raises
    ------
    ColourError
        It has no valid pixel.
    """
    if not image.count:
        raise ColourError(
            f"{image.name}: has no valid pixel, so nothing can be brought to its colour; give "
            "another --reference"
        )
    return group_target([image])


def fit_image(standard: Standard, scene: Scene, *, workers: int = 4) -> Colour:
    """Return what brings a scene to a colour.

    A scene of the group that the colour was made from is known by its fingerprint, or, where its
    file changed, by what is measured of its readings, and gets what was found for it. Any other is
    brought there by its own statistics, by histograms where that is the method and else by mean and
    deviation; haze and cast need not be looked at again, because either would undo them. A scene
    without a valid pixel is left as it is. Local adjustment, if the standard has one, is always
    from the scene itself.

    Parameters
    ----------
    standard
        The colour; the scene's bands are found in it by name.
    scene
        Read once from top to bottom, unless it is known and there is no local adjustment.
    workers
        Threads; the result does not depend on it.

    Raises
    ------
    BandError
        The standard has no band of a name that the scene has.
    ColourError
        Scene and colour are so far apart that no number says what is between them.
    OptionError
        The scene would have too many cells to adjust it locally.
    RasterReadError
        A file cannot be read.
    """
    return recognise(standard, scene, workers=workers)[0]


def recognise(standard: Standard, scene: Scene, *, workers: int = 4) -> tuple[Colour, bool]:
    """Return what `fit_image` does, and whether the scene is one that the colour was made from."""
    standard = standard.select(scene.band_names)
    share = standard.outliers
    limits = None if share is None else usual(scene, share, workers=workers)
    known = standard.line(scene.fingerprint()) if standard.images else None
    if known is not None and standard.dodge is None:
        return Colour.linear(scene, known.gains, known.offsets).within(limits), True
    cell = None if standard.dodge is None else standard.dodge.cell
    image = measure(cut(scene, limits), workers=workers, cell=cell)
    colour, found = _recognised(standard, scene, image, known)
    return colour.within(limits), found


def _recognised(
    standard: Standard, scene: Scene, image: ImageStatistics, known: ImageLine | None
) -> tuple[Colour, bool]:
    """Return the colour of a scene that was measured, and whether it is known."""
    known = known or standard.line_of_readings(image.digests)
    if known is None:
        return fit_measured(standard, scene, image), False
    if standard.dodge is None:
        return Colour.linear(scene, known.gains, known.offsets), True
    pairs = zip(known.gains, known.offsets, strict=True)
    lines = tuple(Line(gain=g, offset=o) for g, o in pairs)
    return _coloured(standard, scene, image, lines), True


def fit_measured(standard: Standard, scene: Scene, image: ImageStatistics) -> Colour:
    """Return what brings a scene to a colour from its own statistics, whether it is known or not.

    Parameters
    ----------
    standard
        The colour, its bands those of the scene in their order.
    scene
        The scene.
    image
        What `measure` says of it; over the cells of the standard's local adjustment, if it has one.
    """
    return _coloured(standard, scene, image, _curves(standard, image))


def _curves(standard: Standard, image: ImageStatistics) -> tuple[Line | Curve, ...]:
    if not image.count:
        return tuple(Line() for _ in image.bands)
    if standard.method == "histogram":
        return histogram_curves(image.bands, standard.bands)
    return moment_lines(image.bands, standard.bands)


def _coloured(
    standard: Standard, scene: Scene, image: ImageStatistics, curves: tuple[Line | Curve, ...]
) -> Colour:
    local = None if standard.dodge is None else dodged(image, curves, standard.dodge)
    return Colour(bands=curves, nodata=written_nodata(scene), local=local)
