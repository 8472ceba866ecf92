"""Maps of scenes: classes of pixels, and where a model of whole patches saw its classes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import (
    PathLike,
    Progress,
    area_of,
    area_text,
    load_models,
    opened,
    text_of,
    texts,
    threads,
)

if TYPE_CHECKING:
    from geoseg.inference.cam.result import CamResult
    from geoseg.inference.photographs import PhotographMaps
    from geoseg.inference.predict import Prediction
    from geoseg.inference.settings import PredictSettings
    from geoseg.models.bundle import ModelBundle
    from geoseg.raster.photographs import Photographs
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
        A model file or loaded model, or several whose probabilities are averaged. None: the one
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
    from geoseg.errors import OptionError  # noqa: PLC0415
    from geoseg.inference.engines import engine_of  # noqa: PLC0415 — pixels cost imports
    from geoseg.inference.outputs import Outputs  # noqa: PLC0415 — pixels cost imports
    from geoseg.inference.predict import predict as make  # noqa: PLC0415
    from geoseg.inference.settings import PredictSettings, parse_area  # noqa: PLC0415

    if stride is not None and overlap is not None:
        raise OptionError("stride and overlap say the same thing; give one of them")
    if overlap is not None:
        if not 0 <= overlap < 1:
            raise OptionError(f"overlap is a share of a tile, from 0 to below 1, not {overlap}")
        stride = max(1, round(tile * (1 - overlap)))
    settings = PredictSettings(  # before anything is opened
        tile=tile,
        stride=stride,
        blend=blend,
        tta=tta,
        scale=scale,
        batch=batch_size,
        precision=precision,
        compile=compile,
        homogenise=str(homogenise),
    )
    area = area_text(min_area)
    how: dict[str, Any] = {"device": device, "workers": threads(workers), "overwrite": overwrite}
    many = _photographs(scene, output)
    if many is not None:
        if resume or any(v is not None for v in (probabilities, confidence, region, cluster)):
            raise OptionError(
                "probabilities, confidence, region, cluster and resume are for one scene; give one"
                " photograph and an output that ends in .tif"
            )
        return _predict_photographs(
            many, output, model, settings, area, bands, band_names, {**how, "progress": progress}
        )
    Outputs.of(output, text_of(probabilities), text_of(confidence)).check(
        overwrite=overwrite or resume
    )
    with opened(scene, bands=bands, band_names=band_names) as found:
        if area is not None:
            settings = replace(settings, min_area=parse_area(area, found.grid))
        models = load_models(model, found)
        with engine_of(models, settings, device, cluster, workers) as engine:
            return make(
                found,
                output,
                models=models,
                engine=engine,
                settings=settings,
                probabilities=probabilities,
                confidence=confidence,
                area=area_of(region, found.grid),
                area_name=text_of(region),
                resume=resume,
                keep=resume,
                progress=progress,
                **how,
            )


def _photographs(
    scene: Scene | PathLike | Sequence[PathLike], output: PathLike
) -> Photographs | None:
    """Return the photographs that are to be predicted one by one; None for one scene."""
    from geoseg.raster.photographs import photographs_to_map  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    return None if isinstance(scene, Scene) else photographs_to_map(texts(scene), output)


def _predict_photographs(
    many: Photographs,
    output: PathLike,
    model: ModelBundle | PathLike | Sequence[ModelBundle | PathLike] | None,
    settings: PredictSettings,
    min_area: str | None,
    bands: Sequence[str] | None,
    band_names: Sequence[str] | None,
    how: dict[str, Any],
) -> PhotographMaps:
    """Predict each photograph; `how` are further arguments of `predict_photographs`."""
    from geoseg.inference.photographs import predict_photographs  # noqa: PLC0415
    from geoseg.inference.settings import parse_area  # noqa: PLC0415
    from geoseg.raster.legend.style import is_folder_of_maps  # noqa: PLC0415
    from geoseg.raster.outputs.checks import check_output_folder  # noqa: PLC0415

    check_output_folder(
        output, overwrite=how["overwrite"], holds=is_folder_of_maps, what="class rasters"
    )
    with opened(many.paths[0], band_names=band_names) as first:
        bundles = load_models(model, first)
        if min_area is not None:
            settings = replace(settings, min_area=parse_area(min_area, first.grid))
    return predict_photographs(
        many,
        output,
        models=bundles,
        settings=settings,
        band_names=band_names,
        bands=bands,
        **how,
    )


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
    from geoseg.errors import OptionError  # noqa: PLC0415
    from geoseg.inference.cam.files import CamOutputs  # noqa: PLC0415 — pixels cost imports
    from geoseg.inference.cam.known import known_classes  # noqa: PLC0415
    from geoseg.inference.cam.making import Guides  # noqa: PLC0415
    from geoseg.inference.cam.page import cam_page  # noqa: PLC0415
    from geoseg.inference.cam.run import make_cam  # noqa: PLC0415
    from geoseg.inference.cam.settings import LabelSettings, MapSettings  # noqa: PLC0415
    from geoseg.inference.settings import parse_area  # noqa: PLC0415
    from geoseg.raster.outputs.checks import refuse_inputs, refuse_inside  # noqa: PLC0415

    area = area_text(min_area)
    if weak_labels is None and reference is None and (refine or combine != "argmax"):
        raise OptionError("combine and refine are about weak labels: give weak_labels too")
    if weak_labels is None and area is not None:
        raise OptionError("min_area is about weak labels: give weak_labels too")
    outputs = CamOutputs(
        maps=Path(output),
        **{
            key: None if path is None else Path(path)
            for key, path in (
                ("weak_labels", weak_labels),
                ("confidence", confidence),
                ("fitted_model", fitted_model),
                ("report", report),
            )
        },
    )
    outputs.check(overwrite=overwrite, reference=reference is not None)
    inputs = [model] if isinstance(model, str | Path) else []
    refuse_inputs(outputs.paths, [str(p) for p in (*inputs, region) if p is not None])
    if known is not None:
        refuse_inside(outputs.paths, str(known))
    (bundle,) = load_models(model, None)
    with ExitStack() as stack:
        found = stack.enter_context(opened(scene, bands=bands, band_names=band_names))
        maps = MapSettings(
            tile=bundle.card.tile if tile is None else tile,
            stride=stride,
            blend=blend,
            upsampling=upsampling,
            bias=bias,
            tta=tta,
            scales=tuple(scales),
            batch=batch_size,
            precision=precision,
            homogenise=str(homogenise),
        )
        labels = LabelSettings(
            combine=combine,
            refine=refine,
            patches=patches,
            seed=seed,
            min_area=0 if area is None else parse_area(area, found.grid),
        )
        guides = Guides(
            area=area_of(region, found.grid),
            area_name=text_of(region),
            reference=None if reference is None else stack.enter_context(opened(reference)),
            assume_aligned=assume_aligned,
            known=None if known is None else known_classes(known, found.grid, bundle.card.legend),
            known_name=None if known is None else Path(known).name,
        )
        card = bundle.card
        return make_cam(
            found,
            outputs,
            model=bundle,
            maps=maps,
            labels=labels,
            guides=guides,
            page=None
            if report is None
            else lambda made: cam_page(
                made,
                legend=card.legend,
                scene=found.name,
                model=card.name,
                bands=card.bands,
                settings=made.settings,
            ),
            device=device,
            workers=threads(workers),
            overwrite=overwrite,
            progress=progress,
        )
