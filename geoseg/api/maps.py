"""Maps of scenes: classes of pixels, and where a model of whole patches saw its classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import PathLike, Progress, area_text, models_of, names, text_of

if TYPE_CHECKING:
    from geoseg.inference.cam.result import CamResult
    from geoseg.inference.photographs import PhotographMaps
    from geoseg.inference.predict import Prediction
    from geoseg.models.bundle import ModelBundle
    from geoseg.raster.scene import Scene


@checked()
def predict(
    scene: Scene | PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    model: ModelBundle | PathLike | Sequence[ModelBundle | PathLike] | None = None,
    tile: int = 288,
    stride: int | None = None,
    overlap: float | None = None,
    blend: Literal["mean", "hann", "gaussian"] = "hann",
    tta: bool = False,
    scale: int | None = None,
    min_area: str | int | None = None,
    probabilities: PathLike | None = None,
    confidence: PathLike | None = None,
    homogenise: PathLike = "model",
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
    region: PathLike | None = None,
    batch_size: int | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    compile: bool = False,  # noqa: A002 — the option's name
    device: str = "auto",
    workers: int | None = None,
    cluster: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> Prediction | PhotographMaps:
    """Predict a scene: a map with a class for every valid pixel; or photographs, each to a map.

    Parameters
    ----------
    scene
        What `geoseg.open_scene` opens, or an open scene; or photographs (JPEG, PNG without
        georeference) by folder, pattern or file.
    output
        Class raster to write: uint8, nodata 255, on the scene's own grid. Of photographs, where it
        ends in no ``.tif``, a folder to make with a class raster for each.
    model
        A model file, here or at an address, or loaded model, or several whose probabilities are
        averaged. None: the one
        that GEOSEG_MODEL names, else the built-in one if its bands are there.
    tile, stride, overlap
        Side of a tile and distance between tiles, px, half a tile by default; or, in place of the
        distance, the share of a tile that its neighbour covers again.
    blend
        How overlapping tiles weigh.
    tta
        Whether each tile is seen in its eight symmetries.
    scale
        n to predict at 1:n; what the models learned at by default.
    min_area
        Components smaller than this go to their largest neighbour: pixels, or a text with a unit
        ("3500px", "0.5ha", "450m2").
    probabilities, confidence
        Rasters to write as well: a band a class, and the share of the most probable one; float32,
        NaN where there is no class. Not of photographs.
    homogenise
        Colour that the scene is brought to: "model", "none", or a colour.json.
    bands, band_names
        Bands to use, and what they are called where files do not say.
    region
        Polygons, or "xmin,ymin,xmax,ymax" in the scene's coordinates.
    batch_size, precision, device
        Tiles computed together at most, in which numbers, and where.
    compile
        Whether the network is compiled for this machine first.
    workers
        Threads; one a processor by default. On the processor the files do not depend on it.
    cluster
        Workers to compute blocks of the scene's rows: a dask scheduler, ``tcp://HOST:PORT``, or
        "local" for processes of this machine (in a script, below ``if __name__ == "__main__"``).
        `device` and `workers` are each one's then; "local" shares `workers` out. Not of
        photographs.
    overwrite
        Whether files may be replaced.
    resume
        Whether finished rows are kept while the map is made, and those of a call that was stopped
        are taken over if it is of the same scene, models and settings. Not of photographs.
    progress
        Called with numbers of finished pixels.

    Returns
    -------
    Numbers of pixels by class and what was written: `geoseg.inference.predict.Prediction`; of
    photographs in a folder `geoseg.inference.photographs.PhotographMaps`, with the names of the
    maps and those photographs that cannot be used.

    Raises
    ------
    InputError, OptionError, OutputError, ClusterError
        Scene and models do not fit, settings make no sense, or a file cannot be written.
    """
    from geoseg.inference.asked import PredictAsked  # noqa: PLC0415 — pixels cost imports

    asked = PredictAsked(
        scene=scene,
        output=str(output),
        models=() if model is None else models_of(model),
        tile=tile,
        stride=stride,
        overlap=overlap,
        blend=blend,
        tta=tta,
        scale=scale,
        min_area=area_text(min_area),
        probabilities=text_of(probabilities),
        confidence=text_of(confidence),
        homogenise=str(homogenise),
        bands=names(bands),
        band_names=names(band_names),
        region=text_of(region),
        batch_size=batch_size,
        precision=precision,
        compile=compile,
        device=device,
        workers=workers,
        cluster=cluster,
        overwrite=overwrite,
        resume=resume,
    )
    photographs = asked.photographs()
    if photographs is not None:
        return photographs.run(progress=progress)
    with asked.job() as job, job.engine() as engine:
        return job.run(engine=engine, keep=resume, progress=progress)


@checked()
def cam(
    scene: Scene | PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    model: ModelBundle | PathLike,
    weak_labels: PathLike | None = None,
    confidence: PathLike | None = None,
    combine: Literal["argmax", "zscore", "median", "logistic"] = "argmax",
    refine: bool = False,
    known: PathLike | None = None,
    reference: PathLike | None = None,
    assume_aligned: bool = False,
    patches: int = 500,
    fitted_model: PathLike | None = None,
    report: PathLike | None = None,
    tile: int | None = None,
    stride: int | None = None,
    blend: Literal["mean", "hann", "gaussian"] = "hann",
    upsampling: Literal["bilinear", "repeat"] = "bilinear",
    bias: bool = False,
    tta: bool = False,
    scales: Sequence[float] = (1.0,),
    min_area: str | int | None = None,
    homogenise: PathLike = "model",
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
    region: PathLike | None = None,
    batch_size: int | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> CamResult:
    """Find out where in a scene the classes are, with a model that learned from whole patches.

    Parameters
    ----------
    scene
        What `geoseg.open_scene` opens, or an open scene.
    output
        Class activation maps: a band a class, float32, NaN where a pixel is invalid.
    model
        A model of image-level labels, ``shallow-cnn`` or ``resnet50-cam``.
    weak_labels, confidence
        A class raster made of the maps, and by how much the class chosen stands out, from 0 to 1.
    combine, refine
        How maps become classes, and whether labels follow what looks alike.
    known
        Data set of patches of this scene: where they lie, only classes of their labels are given.
    reference, assume_aligned, patches, fitted_model
        Class codes of pixels to fit "logistic" on and to measure by, whether they lie on the scene
        pixel by pixel though they do not say so, on how many patches of them to fit, and where to
        write the model with the regression in it.
    report
        Page for a browser to write, ``.html``; its numbers appear beside it, ``.json``.
    tile, stride, blend, upsampling, bias, tta, scales
        How maps are made; a tile of the side that the model learned from by default.
    min_area, homogenise, bands, band_names, region, batch_size, precision, device
        As for `predict`.
    seed
        Chooses the patches of the reference.
    workers, overwrite, progress
        As for `predict`.

    Raises
    ------
    InputError, OptionError, OutputError
        As for `predict`; or the reference cannot be laid on the scene, or the model knows pixels.
    """
    from geoseg.inference.cam.asked import CamAsked  # noqa: PLC0415 — pixels cost imports

    asked = CamAsked(
        scene=scene,
        output=str(output),
        model=str(model) if isinstance(model, Path) else model,
        weak_labels=text_of(weak_labels),
        confidence=text_of(confidence),
        combine=combine,
        refine=refine,
        known=text_of(known),
        reference=text_of(reference),
        assume_aligned=assume_aligned,
        patches=patches,
        fitted_model=text_of(fitted_model),
        report=text_of(report),
        tile=tile,
        stride=stride,
        blend=blend,
        upsampling=upsampling,
        bias=bias,
        tta=tta,
        scales=tuple(scales),
        min_area=area_text(min_area),
        homogenise=str(homogenise),
        bands=names(bands),
        band_names=names(band_names),
        region=text_of(region),
        batch_size=batch_size,
        precision=precision,
        seed=seed,
        device=device,
        workers=workers,
        overwrite=overwrite,
    )
    with asked.job() as job:
        return job.run(progress=progress)
