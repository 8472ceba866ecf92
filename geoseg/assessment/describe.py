"""What geoseg sees of anything it is shown: a scene, a class raster, a data set, a model.

What a path is, is told by what is in it and not by how its name ends. Descriptions are plain JSON
objects with a ``kind``; `describe_text` says them to people. Nothing here imports torch.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.assessment.describe_folders import dataset_of_split, describe_outputs
from geoseg.assessment.describe_makers import made_by_card, made_by_dataset
from geoseg.assessment.describe_others import completed, describe_other
from geoseg.assessment.describe_products import (
    describe_product,
    others_beside,
    product_at,
    products_in,
)
from geoseg.errors import InputError, ModelError, RasterReadError, without_secrets
from geoseg.models.addressed import here, is_model_address, public

if TYPE_CHECKING:
    from geoseg.models.card import ModelCard
    from geoseg.patches.dataset import PatchDataset

_DATASET = "dataset.json"
_ONNX = ".onnx"
_MOST_JSON_BYTES = 64 << 20


def describe(source: str) -> Iterator[dict[str, Any] | InputError]:
    """Describe what a path or an address holds, and when its file was last written.

    Parameters
    ----------
    source
        A raster (anything GDAL opens), a folder or pattern of rasters, a Landsat or Sentinel-2
        product by its folder, its metadata or its STAC item, a folder with a data set, one of its
        splits or its ``dataset.json``, a model file, or any other file or folder that geoseg made.

    Yields
    ------
    JSON objects, one a thing found; and, for what in a folder cannot be used, the error.

    Raises
    ------
    InputError
        Nothing there that geoseg knows, or it is damaged.
    """
    for found in _described(source):
        if isinstance(found, dict):
            found["written"] = _written(found)
        yield found


def _written(found: Mapping[str, Any]) -> str | None:
    """Return the file's own date, to the second: outputs hold none, so that runs are the same."""
    name = found["name"] if found["kind"] == "data set" else found.get("file")
    files = [name] if name else found.get("files", [])
    path = Path(files[0]) if len(files) == 1 else None
    if path is not None and found["kind"] == "data set":
        path /= _DATASET
    try:
        seconds = path.stat().st_mtime if path is not None else None
        when = None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
    except (OSError, ValueError, OverflowError):
        return None  # an address, or what GDAL knows of and no file system
    return None if when is None else f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _described(source: str) -> Iterator[dict[str, Any] | InputError]:
    path = Path(source)
    if is_model_address(source):
        with here(source) as file:
            yield {**describe_model(file), "file": public(source)}
    elif "://" in source and (far := _far_dataset(source)) is not None:
        yield far
    elif path.is_dir():
        yield from _describe_folder(path)
    elif not path.is_file():
        # A pattern, an address, or nothing; the raster side knows them apart.
        yield from _describe_scenes(source)
    elif _is_model(path):
        yield describe_model(path)
    elif _is_dataset_json(path):
        yield describe_dataset(path.parent)
    elif (other := describe_other(path)) is not None:
        yield other
    elif (product := product_at(path)) is not None:
        yield from describe_product(product)
    else:
        yield from _describe_scenes(source)


def _describe_folder(path: Path) -> Iterator[dict[str, Any] | InputError]:
    if (path / _DATASET).is_file():
        yield describe_dataset(path)
        return
    whole = dataset_of_split(path)
    if whole is not None:
        found = describe_dataset(whole)
        if path.name in found["splits"]:
            yield found | {"split": path.name}
            return
    product = product_at(path)
    if product is not None:
        yield from describe_product(product)
        others = others_beside(product, path)
        if others:
            yield from _describe_scenes(*others)
        return
    told: list[dict[str, Any]] = []
    if not _holds_rasters(path):
        told += describe_outputs(path)
        for one in [] if told else products_in(path):
            told += describe_product(one)
    yield from told or _describe_scenes(str(path))


def _holds_rasters(folder: Path) -> bool:
    from geoseg.raster.opening.heads import rasters_in  # noqa: PLC0415 — loads rasterio

    try:
        return bool(rasters_in(folder))
    except InputError:
        return False


# -- what is it? ----------------------------------------------------------------------------------


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _is_model(path: Path) -> bool:
    """Tell whether a file holds weights; foreign ones the reader of cards refuses in words."""
    head = _head(path)
    if path.suffix.lower() == _ONNX:
        return True  # the format has no mark of its own
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
        return True
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True  # a pickle
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith("data.pkl") for name in archive.namelist())
        except (zipfile.BadZipFile, OSError):
            return False
    return False


def _is_dataset_json(path: Path) -> bool:
    if not _head(path).lstrip().startswith(b"{") or path.stat().st_size > _MOST_JSON_BYTES:
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("format") == "geoseg-patches"


# -- scenes ---------------------------------------------------------------------------------------


def _describe_scenes(*sources: str) -> Iterator[dict[str, Any] | InputError]:
    from geoseg.raster.describe import describe_scene  # noqa: PLC0415 — loads rasterio
    from geoseg.raster.grouping import group_scenes  # noqa: PLC0415

    scenes, problems = group_scenes(sources)
    for problem in problems:
        known = problem.reason.startswith(without_secrets(problem.path))
        yield RasterReadError(problem.reason if known else f"{problem.path}: {problem.reason}")
    for scene in scenes:
        with scene:
            try:
                yield completed(describe_scene(scene))
            except InputError as error:
                yield error


# -- data sets ------------------------------------------------------------------------------------


def describe_dataset(folder: Path) -> dict[str, Any]:
    """Describe a folder of patches from its ``dataset.json``; see `PatchDataset`.

    Raises
    ------
    DatasetError
        It is none, or not whole.
    """
    from geoseg.patches.dataset import PatchDataset  # noqa: PLC0415 — loads numpy

    dataset = PatchDataset.open(folder)
    for split in dataset.splits:
        dataset.split(split)  # that its files are there and whole
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return _dataset(dataset, str(folder), size)


def _far_dataset(source: str) -> dict[str, Any] | None:
    """Describe a data set at an address, where one is, without fetching its pixels."""
    if not source.lower().startswith(("s3://", "gs://", "az://")):
        return None
    from geoseg.patches.addressed import is_dataset_address, to_look_at  # noqa: PLC0415 — rasterio
    from geoseg.patches.dataset import PatchDataset  # noqa: PLC0415 — loads numpy

    if not is_dataset_address(source):
        return None
    with to_look_at(source) as (folder, size):
        return _dataset(PatchDataset.open(folder), public(source), size)


def _dataset(dataset: PatchDataset, name: str, size: int) -> dict[str, Any]:
    meta = dataset.metadata
    return {
        "kind": "data set",
        "name": name,
        "bytes": size,
        "patches": sum(dataset.splits.values()),
        "splits": dict(dataset.splits),
        "size": dataset.size,
        "stride": dataset.stride,
        "storage": dataset.storage,
        "dtype": dataset.dtype.name,
        "fill": dataset.fill,
        "max_nodata": dataset.max_nodata,
        "resolution": list(dataset.resolution),
        "units": dataset.crs_units,
        "scale": dataset.scale,
        "bands": [
            {
                "name": band.name,
                "mean": band.mean,
                "std": band.std,
                "minimum": band.min,
                "maximum": band.max,
                "percentiles": dict(band.percentiles),
            }
            for band in dataset.statistics
        ],
        "labelling": dataset.labelling,
        "classes": _dataset_classes(dataset),
        "dropped": _counts(meta.get("dropped")),
        "ignored_label_values": _counts(meta.get("ignored_label_values")),
        "scenes": [
            {key: scene.get(key) for key in ("name", "height", "width", "crs", "problems")}
            for scene in _listed(meta.get("scenes"))
            if isinstance(scene, dict)
        ],
        "problems": [p for p in _listed(meta.get("problems")) if isinstance(p, dict)],
        "seed": dataset.seed,
        "command": meta.get("command"),
        "versions": meta.get("versions"),
        "made_by": made_by_dataset(meta),
        "hash": dataset.hash(),
        **({} if dataset.colour is None else {"colour": dataset.colour.to_json()}),
    }


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dataset_classes(dataset: PatchDataset) -> list[dict[str, Any]] | None:
    """Classes with their pixels and, of all labelled pixels of a split, their share.

    Of labels of whole patches: the patches that hold them and, of all patches of a split, their
    share.
    """
    if dataset.legend is None:
        return None
    unit = "patches" if dataset.labelling == "patches" else "pixels"
    if unit == "patches":
        counts = _class_counts(dataset.metadata.get("patches_with_class"), len(dataset.legend))
        totals = dataset.splits
    else:
        counts = dataset.class_pixels
        totals = {split: sum(held) for split, held in counts.items()}
    classes: list[dict[str, Any]] = []
    for index, item in enumerate(dataset.legend.to_json()):
        held = {split: of_class[index] for split, of_class in counts.items()}
        shares = {
            split: n / totals[split] if totals.get(split) else math.nan for split, n in held.items()
        }
        classes.append({**item, unit: held, "shares": shares})
    return classes


def _class_counts(found: object, classes: int) -> dict[str, tuple[int, ...]]:
    """Take counts a class, by split, out of JSON; nothing where there is no such thing."""
    if not isinstance(found, dict):
        return {}
    return {
        str(split): tuple(counts)
        for split, counts in found.items()
        if isinstance(counts, list)
        and len(counts) == classes
        and all(type(n) is int for n in counts)
    }


def _counts(found: object) -> dict[str, int]:
    """Take counts by name out of JSON; nothing where there is no such thing."""
    if not isinstance(found, Mapping):
        return {}
    return {str(key): int(n) for key, n in found.items() if isinstance(n, int | float)}


# -- models ---------------------------------------------------------------------------------------


def describe_model(path: Path) -> dict[str, Any]:
    """Describe a model file from its card and the shapes of its weights; reads no weight.

    Raises
    ------
    ModelError
        It is no model of geoseg, or damaged.
    """
    from geoseg.models.card import card_of_header  # noqa: PLC0415 — loads numpy
    from geoseg.models.header import read_header  # noqa: PLC0415

    if path.suffix.lower() == _ONNX:
        return _describe_onnx(path)
    header = read_header(path)
    card = card_of_header(header, path)
    return {
        "kind": "model",
        "file": str(path),
        "bytes": path.stat().st_size,
        "parameters": _parameters(header, path),
        **_card(card),
        "hash": card.hash,
        "made_by": made_by_card(card.training),
    }


def _card(card: ModelCard) -> dict[str, Any]:
    """Return a card's entries; what made the model stands apart from its training."""
    found = {k: v for k, v in card.to_json().items() if k not in ("format", "version")}
    found["training"] = {k: v for k, v in found["training"].items() if k != "made_by"}
    return found


def _describe_onnx(path: Path) -> dict[str, Any]:
    """Describe an ONNX file, of ours or with a card beside it; nothing in it runs."""
    from geoseg.models.onnx.cards import card_of_onnx  # noqa: PLC0415 — loads numpy
    from geoseg.models.onnx.reading import read_onnx  # noqa: PLC0415 — loads onnx
    from geoseg.raster.provenance import made_by  # noqa: PLC0415 — loads rasterio

    file = read_onnx(path)
    card, how = card_of_onnx(file, path)
    return {
        "kind": "model",
        "file": str(path),
        "bytes": len(file.content),
        "parameters": file.parameters,
        **_card(card),
        "hash": card.hash,
        "made_by": made_by(file.metadata) or None,
        "onnx": {**how.to_json(), "shape": [-1 if n is None else n for n in file.shape]},
    }


def _parameters(header: Mapping[str, Any], path: Path) -> int:
    """Count the trained weights: those of all tensors but the running statistics."""
    total = 0
    for name, entry in header.items():
        if name == "__metadata__" or name.rpartition(".")[2] in (
            "running_mean",
            "running_var",
            "num_batches_tracked",
        ):
            continue
        shape = entry.get("shape")
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise ModelError(f"{path} is damaged: its header does not give the shape of {name!r}")
        total += math.prod(shape)
    return total
