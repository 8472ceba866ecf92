"""Models and maps for other programs: ONNX, STAC items, model cards, by how the output ends."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import InputError, LabelError, ModelError, OptionError
from geoseg.models.addressed import here, is_model_address, public
from geoseg.raster.far.brought import address_of
from geoseg.raster.maker import document_with, text_with
from geoseg.raster.outputs.checks import check_output, refuse_inputs
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.provenance import DATE, option_words, provenance

if TYPE_CHECKING:
    from geoseg.inference.exporting import ExportedOnnx
    from geoseg.models.card import ModelCard

FORMS = {".onnx": "onnx", ".json": "stac", ".md": "card"}
"""Ending of the output → what is made."""
_MODELS = (".safetensors", ".onnx")


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What is asked of an export beyond where it goes."""

    input: str = "normalised"
    """Of ONNX: what it is fed, see `geoseg.models.onnx.feeding.Feeding`."""
    byte_range: tuple[float, float] | None = None
    """Of ONNX fed ``uint8``: readings that the bytes 0 and 255 stand for."""
    tile: int | None = None
    """Of ONNX: side in pixels of its tiles; that which the model learned from if None."""
    check: str | None = None
    """Of ONNX: a scene on which it is compared with the model, besides random images."""
    date: str | None = None
    """Of STAC items: a date or time. A map needs one."""
    derived_from: tuple[str, ...] = ()
    """Of STAC items of maps: addresses of what the map was made of."""

    def given(self, form: str) -> list[str]:
        """Return options that were given and do not go with a form."""
        known = {
            "input": self.input != "normalised",
            "range": self.byte_range is not None,
            "tile": self.tile is not None,
            "check": self.check is not None,
            "date": self.date is not None,
            "derived-from": bool(self.derived_from),
        }
        own = {
            "onnx": ("input", "range", "tile", "check"),
            "stac": ("date", "derived-from"),
            "card": (),
        }[form]
        return [name for name, is_given in known.items() if is_given and name not in own]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    output: Path
    """The file."""
    form: str
    """``onnx``, ``stac`` or ``card``."""
    onnx: ExportedOnnx | None = None
    """Of ONNX: how it compares with the model."""


def export(
    source: str | Path,
    output: str | Path,
    *,
    settings: ExportSettings | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a model or a map in a form that other programs know.

    Parameters
    ----------
    source
        A model (``.safetensors``; of STAC items and cards also ``.onnx``), here or at an address,
        or a class raster.
    output
        ``NAME.onnx``: the model as ONNX; ``NAME.json``: a STAC item of the model (MLM 1.5) or of
        the map; ``NAME.md``: the model's card as a page.
    settings
        What else is asked for.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    OptionError
        The output ends otherwise, or options do not go with it.
    InputError, OutputError
        The source cannot be exported so, or the file not be written.
    """
    settings = settings or ExportSettings()
    target = Path(output)
    form = FORMS.get(target.suffix.lower())
    if form is None:
        raise OptionError(
            f"{target}: say by its ending what to make: .onnx (the model as ONNX), .json (a STAC"
            " item) or .md (a card to read)"
        )
    wrong = settings.given(form)
    if wrong:
        raise OptionError(f"--{wrong[0]} says nothing about a {target.suffix} file; leave it out")
    target = check_output(output, overwrite=overwrite, suffixes=tuple(FORMS))
    if form == "stac" and address_of(source) is not None and not is_model_address(source):
        return _exported(Path(source), str(source), target, form, settings, overwrite=overwrite)
    with here(source) as path:
        return _exported(path, str(source), target, form, settings, overwrite=overwrite)


def _exported(
    path: Path, source: str, target: Path, form: str, settings: ExportSettings, *, overwrite: bool
) -> Exported:
    """Write a file that is here, or of a map what its address, `source`, opens."""
    refuse_inputs([target], [path])
    is_model = path.suffix.lower() in _MODELS
    if form == "onnx":
        return _onnx(path, target, settings, overwrite=overwrite)
    if form == "card":
        if not is_model:
            raise ModelError(f"{source} is no model (.safetensors, .onnx); only models have cards")
        text = text_with(_card(path), _tags(path, source, settings))
        _write(target, text, overwrite=overwrite)
    else:
        item = (
            _model_item(path, _href(source, target), settings)
            if is_model
            else _map_item(source, target, settings)
        )
        tags = _tags(path, source, settings)
        if DATE in tags:
            item["properties"] |= {"created": tags[DATE], "updated": tags[DATE]}
        item = document_with(item, tags)
        text = json.dumps(item, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        _write(target, text, overwrite=overwrite)
    return Exported(output=target, form=form)


def _tags(path: Path, source: str, settings: ExportSettings) -> dict[str, str]:
    """Say what made an item or a card; ONNX files are told of where they are written."""
    from geoseg.models.card import hash_file  # noqa: PLC0415
    from geoseg.raster.fingerprint import fingerprint_files  # noqa: PLC0415

    options: dict[str, Any] = {} if settings.date is None else {"date": settings.date}
    words = ["geoseg", "export", source, *option_words(options)]
    for address in settings.derived_from:
        words += ["--derived-from", address]
    if settings.derived_from:
        options["derived-from"] = list(settings.derived_from)
    is_model = path.suffix.lower() in _MODELS
    digest = hash_file(path) if is_model else fingerprint_files([source])
    return provenance(words, {source: digest}, options=options)


def _onnx(path: Path, target: Path, settings: ExportSettings, *, overwrite: bool) -> Exported:
    """Write a model as ONNX."""
    from geoseg.inference.exporting import export_onnx  # noqa: PLC0415 — torch
    from geoseg.models.onnx.feeding import feeding  # noqa: PLC0415
    from geoseg.models.opening import open_model  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    bundle = open_model(path)
    how = feeding(bundle.card, settings.input, settings.byte_range)
    if settings.check is None:
        made = export_onnx(
            bundle, target, how=how, tile=settings.tile, source=path, overwrite=overwrite
        )
    else:
        with Scene.open(settings.check) as scene:
            refuse_inputs([target], scene.files)
            made = export_onnx(
                bundle,
                target,
                how=how,
                tile=settings.tile,
                check=scene,
                source=path,
                overwrite=overwrite,
            )
    return Exported(output=target, form="onnx", onnx=made)


def _looked_at(path: Path) -> tuple[ModelCard, dict[str, Any]]:
    """Return a model's card and what describes its file; runs nothing and loads no torch."""
    from geoseg.assessment.describe import describe_model  # noqa: PLC0415
    from geoseg.models.card import FORMAT, VERSION, ModelCard  # noqa: PLC0415

    found = describe_model(path)
    obj = {**found, "format": FORMAT, "version": VERSION}
    return ModelCard.from_json(obj, source=str(path), file_hash=found["hash"]), found


def _card(path: Path) -> str:
    from geoseg.models.cardpage import card_page  # noqa: PLC0415

    card, found = _looked_at(path)
    return card_page(card, file=path.name, size=found["bytes"], parameters=found["parameters"])


def _model_item(path: Path, href: str, settings: ExportSettings) -> dict[str, Any]:
    from geoseg.models.stac import model_item  # noqa: PLC0415
    from geoseg.raster.stac import moment  # noqa: PLC0415

    if settings.derived_from:
        raise OptionError("--derived-from is about maps; a model's card says what it learned from")
    card, found = _looked_at(path)
    onnx = found.get("onnx")
    free = (-1, len(card.bands), -1, -1) if onnx is None else tuple(onnx["shape"])
    return model_item(
        card,
        href=href,
        kind="safetensors" if onnx is None else "onnx",
        parameters=found["parameters"],
        size=found["bytes"],
        shape=(free[0], len(card.bands), free[2], free[3]),
        fed="normalised" if onnx is None else onnx["input"],
        answer="logits" if onnx is None else onnx["answer"],
        date=None if settings.date is None else moment(settings.date),
    )


def _map_item(source: str, target: Path, settings: ExportSettings) -> dict[str, Any]:
    from geoseg.models.stac import classes_of, name_of  # noqa: PLC0415
    from geoseg.raster.legend.rasters import raster_legend  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415
    from geoseg.raster.stac import map_item  # noqa: PLC0415

    with Scene.open(source) as scene:
        one = len(scene.bands) == 1 and scene.dtype.kind in "iu"
        legend = raster_legend(source) if one else None
        if legend is None:
            raise LabelError(f"{source} is no class raster with names (see geoseg recode)")
        if settings.date is None:
            raise InputError(
                f"{source} does not say of when it is: give the day of its scene, --date 2020-07-14"
            )
        return map_item(
            scene,
            classes_of(legend),
            name=name_of(Path(public(source)).stem),
            href=_href(source, target),
            date=settings.date,
            derived_from=settings.derived_from,
        )


def _href(source: str, target: Path) -> str:
    """Return where a file lies as seen from the item's folder; no folder of this machine."""
    if address_of(source) is not None:
        return public(source)
    path = Path(source)
    try:
        relative = Path(os.path.relpath(path.absolute(), target.absolute().parent))
    except ValueError:  # another drive
        relative = Path(path.name)
    return f"./{relative.as_posix()}" if ".." not in relative.parts else relative.as_posix()


def _write(target: Path, text: str, *, overwrite: bool) -> None:
    with TemporaryFolder(target) as folder:
        made = folder.path / target.name
        try:
            made.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise output_error(error, target) from error
        folder.publish(made, {}, overwrite=overwrite)


def parse_range(text: Sequence[float] | str | None) -> tuple[float, float] | None:
    """Turn "0,10000" or two numbers into a range.

    Raises
    ------
    OptionError
        It is none.
    """
    if text is None:
        return None
    try:
        low, high = map(float, text.split(",") if isinstance(text, str) else text)
    except (TypeError, ValueError) as error:
        raise OptionError(f"'{text}' is no range of readings; write two, as 0,10000") from error
    if not -1e300 < low < high < 1e300:
        raise OptionError(f"'{text}' is no range of readings; write the lower one first")
    return low, high


__all__ = ["FORMS", "ExportSettings", "Exported", "export", "parse_range"]
