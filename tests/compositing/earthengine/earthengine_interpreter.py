# ruff: noqa: A002, ARG002, N802, N803 — names are those of the functions that the client calls
"""Evaluates the expressions that the client sends, on made images: the part that geoseg uses.

Every function is written from its description in the list of algorithms. Images are evaluated
pixel by pixel on the grid asked for, by nearest neighbour, with some pixels around it for functions
of neighbourhoods. What lies under a mask is left as garbage until the answer is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyproj

PAD = 8
"""Rows and columns around the grid that neighbourhoods see."""

TYPES = {
    "toByte": "u1",
    "toUint8": "u1",
    "toUint16": "<u2",
    "toInt32": "<i4",
    "toFloat": "<f4",
    "toDouble": "<f8",
}


class WrongError(Exception):
    """A request that the server refuses with status 400."""


@dataclass(frozen=True)
class PixelGrid:
    """Pixels asked for."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    height: int
    width: int

    def centres(self, pad: int) -> tuple[np.ndarray, np.ndarray]:
        a, b, c, d, e, f = self.transform
        rows, cols = np.mgrid[-pad : self.height + pad, -pad : self.width + pad] + 0.5
        return a * cols + b * rows + c, d * cols + e * rows + f


@dataclass
class Made:
    """An image of a made collection: arrays on a grid of its own, north up."""

    index: str
    start: int
    bands: dict[str, np.ndarray]
    corner: tuple[float, float] = (500_000.0, 5_500_000.0)
    pixel: float = 30.0
    crs: str = "EPSG:32633"
    masked: dict[str, np.ndarray] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    end: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return next(iter(self.bands.values())).shape

    def bounds(self) -> tuple[float, float, float, float]:
        """Longitudes and latitudes."""
        height, width = self.shape
        x, y = self.corner
        move = pyproj.Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        return move.transform_bounds(x, y - height * self.pixel, x + width * self.pixel, y)

    def all_properties(self) -> dict[str, Any]:
        found = {"system:index": self.index, "system:time_start": self.start, **self.properties}
        return found if self.end is None else found | {"system:time_end": self.end}


@dataclass(frozen=True)
class Band:
    name: str
    data: np.ndarray
    mask: np.ndarray
    """From 0 to 1."""


@dataclass(frozen=True)
class Image:
    bands: tuple[Band, ...]
    properties: dict[str, Any] = field(default_factory=dict)
    bounds: tuple[float, float, float, float] | None = None

    def mapped(self, function: Any) -> Image:
        return replace(self, bands=tuple(function(band) for band in self.bands))


class Interpreter:
    """Evaluates expressions against collections of `Made` images on one grid."""

    def __init__(self, collections: dict[str, list[Made]], grid: PixelGrid | None) -> None:
        self.collections = collections
        self.grid = grid or PixelGrid("EPSG:32633", (30, 0, 500_000, 0, -30, 5_500_000), 1, 1)
        self.used: set[str] = set()

    def run(self, expression: dict[str, Any]) -> Any:
        self.values = expression["values"]
        return self.value(self.values[expression["result"]], {})

    def value(self, node: dict[str, Any], scope: dict[str, Any]) -> Any:
        ((kind, content),) = node.items()
        if kind == "constantValue":
            return content
        if kind == "valueReference":
            return self.value(self.values[content], scope)
        if kind == "argumentReference":
            return scope[content]
        if kind == "arrayValue":
            return [self.value(item, scope) for item in content["values"]]
        if kind == "dictionaryValue":
            return {key: self.value(item, scope) for key, item in content["values"].items()}
        if kind == "functionDefinitionValue":
            names, body = content["argumentNames"], self.values[content["body"]]
            return lambda *given: self.value(body, scope | dict(zip(names, given, strict=True)))
        if kind == "functionInvocationValue":
            name = content["functionName"]
            given = {k: self.value(v, scope) for k, v in content.get("arguments", {}).items()}
            return self.call(name, given)
        raise WrongError(f"node {kind}")

    def call(self, name: str, given: dict[str, Any]) -> Any:
        self.used.add(name)
        prefix, _, method = name.partition(".")
        if prefix == "Image" and method in TYPES:
            dtype = np.dtype(TYPES[method])
            return given["value"].mapped(lambda b: replace(b, data=_cast(b.data, dtype)))
        if prefix == "Filter":
            return _filter(method, given)
        if prefix in ("Reducer", "GeometryConstructors"):
            return (method, given)
        function = getattr(self, "do_" + name.replace(".", "_"), None)
        if function is None:
            raise WrongError(f"Unrecognized function: {name}")
        return function(**{"from_" if k == "from" else k: v for k, v in given.items()})

    # -- loading ---------------------------------------------------------------------------------

    def do_ImageCollection_load(self, id: str) -> list[Image]:
        if id not in self.collections:
            raise WrongError(
                f"ImageCollection.load: ImageCollection asset '{id}' not found (does not exist or "
                "caller does not have access)."
            )
        return [self._image(made) for made in self.collections[id]]

    def do_Image_load(self, id: str) -> Image:
        found = self.collections.get(id)
        if not found:
            raise WrongError(f"Image.load: Image asset '{id}' not found.")
        return self._image(found[0])

    def _image(self, made: Made) -> Image:
        move = pyproj.Transformer.from_crs(self.grid.crs, made.crs, always_xy=True)
        xs, ys = self.grid.centres(PAD)
        x, y = move.transform(xs, ys) if self.grid.crs != made.crs else (xs, ys)
        cols = np.floor((x - made.corner[0]) / made.pixel).astype(int)
        rows = np.floor((made.corner[1] - y) / made.pixel).astype(int)
        height, width = made.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        rows, cols = np.where(inside, rows, 0), np.where(inside, cols, 0)
        bands = []
        for name, data in made.bands.items():
            hidden = made.masked.get(name, np.zeros(made.shape, bool))[rows, cols]
            bands.append(Band(name, data[rows, cols], (inside & ~hidden).astype(float)))
        return Image(tuple(bands), made.all_properties(), made.bounds())

    # -- collections -----------------------------------------------------------------------------

    def do_Collection_filter(self, collection: list[Image], filter: Any) -> list[Image]:
        return [image for image in collection if filter(image)]

    def do_Collection_map(
        self, collection: list[Image], baseAlgorithm: Any, dropNulls: bool = False
    ) -> list[Image]:
        return [baseAlgorithm(image) for image in collection]

    def do_Collection_first(self, collection: list[Image]) -> Image | None:
        return collection[0] if collection else None

    def do_Collection_limit(
        self, collection: list[Image], key: str, ascending: bool = True, limit: int | None = None
    ) -> list[Image]:
        found = sorted(collection, key=lambda one: one.properties[key], reverse=not ascending)
        return found[:limit]

    def do_AggregateFeatureCollection_array(self, collection: list[Image], property: str) -> Any:
        return [image.properties[property] for image in collection]

    def do_ImageCollection_merge(
        self, collection1: list[Image], collection2: list[Image]
    ) -> list[Image]:
        return collection1 + collection2

    def do_ImageCollection_mosaic(self, collection: list[Image]) -> Image:
        result = collection[0]
        for image in collection[1:]:
            bands = []
            for under, over in zip(result.bands, image.bands, strict=True):
                top = over.mask > 0
                bands.append(
                    Band(
                        under.name,
                        np.where(top, over.data, under.data),
                        np.where(top, over.mask, under.mask),
                    )
                )
            result = Image(tuple(bands))
        return replace(result, properties={})  # a mosaic has none

    def do_ImageCollection_reduce(self, collection: list[Image], reducer: Any) -> Image:
        if not collection:
            raise WrongError(
                "Image.rename: the number of names does not match the number of bands."
            )
        kind, options = reducer
        bands = []
        for number, band in enumerate(collection[0].bands):
            stack = np.array([image.bands[number].data for image in collection], float)
            stack[np.array([image.bands[number].mask for image in collection]) == 0] = np.nan
            bands.append(Band(f"{band.name}_{kind}", *_reduced(stack, kind, options)))
        return Image(tuple(bands))

    def do_reduce_count(self, collection: list[Image]) -> Image:
        image = self.do_ImageCollection_reduce(collection, ("count", {}))
        return image.mapped(lambda b: replace(b, name=b.name.removesuffix("_count")))

    def do_reduce_mode(self, collection: list[Image]) -> Image:
        image = self.do_ImageCollection_reduce(collection, ("mode", {}))
        return image.mapped(lambda b: replace(b, name=b.name.removesuffix("_mode")))

    # -- images ----------------------------------------------------------------------------------

    def do_Image_constant(self, value: Any) -> Image:
        numbers = value if isinstance(value, list) else [value]
        shape = self.grid.centres(PAD)[0].shape
        return Image(
            tuple(
                Band("constant" if len(numbers) == 1 else f"constant_{n}", np.full(shape, v), one)
                for n, v in enumerate(numbers)
                for one in [np.ones(shape)]
            )
        )

    def do_Image_select(self, input: Image, bandSelectors: Any, newNames: Any = None) -> Image:
        if input is None:
            raise WrongError("Image.select: Parameter 'input' is required.")
        by_name = {band.name: band for band in input.bands}
        chosen = []
        for one in bandSelectors if isinstance(bandSelectors, list) else [bandSelectors]:
            if isinstance(one, int):
                chosen.append(input.bands[one])
            elif one in by_name:
                chosen.append(by_name[one])
            else:
                raise WrongError(
                    f"Image.select: Band pattern '{one}' did not match any bands. Available bands: "
                    f"[{', '.join(by_name)}]"
                )
        names = newNames or [band.name for band in chosen]
        return replace(
            input,
            bands=tuple(replace(b, name=n) for b, n in zip(chosen, names, strict=True)),
        )

    def do_Image_rename(self, input: Image, names: list[str]) -> Image:
        if len(names) != len(input.bands):
            raise WrongError(
                "Image.rename: the number of names does not match the number of bands."
            )
        for name in names:
            if not all(c.isalnum() or c in "_-." for c in name):
                raise WrongError(f"Image.rename: Invalid band name '{name}'.")
        return replace(
            input, bands=tuple(replace(b, name=n) for b, n in zip(input.bands, names, strict=True))
        )

    def do_Image_bandNames(self, image: Image) -> list[str]:
        return [band.name for band in image.bands]

    def do_Image_addBands(self, dstImg: Image, srcImg: Image) -> Image:
        return replace(dstImg, bands=(*dstImg.bands, *srcImg.bands))

    def do_Image_mask(self, image: Image) -> Image:
        return image.mapped(lambda b: Band(b.name, b.mask, np.ones(b.mask.shape)))

    def do_Image_updateMask(self, image: Image, mask: Image) -> Image:
        (by,) = mask.bands
        allowed = np.where(by.mask > 0, by.data, 0).astype(float)
        return image.mapped(lambda b: replace(b, mask=np.minimum(b.mask, allowed)))

    def do_Image_unmask(self, input: Image, value: Image, sameFootprint: bool = True) -> Image:
        (by,) = value.bands
        return input.mapped(
            lambda b: Band(b.name, np.where(b.mask > 0, b.data, by.data), np.ones(b.mask.shape))
        )

    def do_Image_reduce(self, image: Image, reducer: Any) -> Image:
        kind, options = reducer
        stack = np.array([b.data for b in image.bands], float)
        stack[np.array([b.mask for b in image.bands]) == 0] = np.nan
        return replace(image, bands=(Band(kind, *_reduced(stack, kind, options)),))

    def do_Image_remap(
        self, image: Image, from_: list[int], to: list[int], defaultValue: Any = None
    ) -> Image:
        (band,) = image.bands
        data = np.full(band.data.shape, 0 if defaultValue is None else defaultValue)
        known = np.zeros(band.data.shape, bool)
        for old, new in zip(from_, to, strict=True):
            data = np.where(band.data == old, new, data)
            known |= band.data == old
        mask = band.mask if defaultValue is not None else band.mask * known
        return replace(image, bands=(Band("remapped", data, mask),))

    def do_Image_focalMax(self, image: Image, radius: float, kernelType: str, units: str) -> Image:
        if (kernelType, units) != ("square", "pixels") or radius > PAD:
            raise WrongError("focalMax of this kind is not made here")
        reach = int(radius)

        def grown(band: Band) -> Band:
            data = np.where(band.mask > 0, band.data.astype(float), -math.inf)
            padded = np.pad(data, reach, constant_values=-math.inf)
            views = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2)
            return replace(band, data=views.max(axis=(2, 3)))

        return image.mapped(grown)

    def do_Image_reproject(self, image: Image, crs: Any, crsTransform: Any) -> Image:
        if list(crsTransform) != list(self.grid.transform):
            raise WrongError("reprojected to a grid that is not the one asked for")
        return image

    def do_Image_clip(self, input: Image, geometry: Any) -> Image:
        return input

    def do_Image_clipToBoundsAndScale(self, input: Image, **given: Any) -> Image:
        return input

    def do_Image_projection(self, image: Image) -> Any:
        return "projection"

    def __getattr__(self, name: str) -> Any:
        operator = _OPERATORS.get(name.removeprefix("do_Image_"))
        if not name.startswith("do_Image_") or operator is None:
            raise AttributeError(name)
        return operator

    # -- what belongs to nothing -----------------------------------------------------------------

    def do_DateRange(self, start: str, end: str) -> tuple[str, str]:
        return start, end

    def do_Feature(self, geometry: Any) -> Any:
        return geometry

    def do_Projection(self, crs: str, transform: Any = None) -> str:
        return crs


def _cast(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        data = np.clip(np.trunc(np.nan_to_num(data)), limits.min, limits.max)
    with np.errstate(over="ignore", invalid="ignore"):
        return data.astype(dtype)


def _reduced(stack: np.ndarray, kind: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """Reduce the first axis; NaN is masked."""
    counts = (~np.isnan(stack)).sum(axis=0)
    known = counts > 0
    if kind == "count":
        return counts, known.astype(float)
    safe = np.where(known, stack, 0.0)
    if kind == "mode":
        return np.apply_along_axis(_commonest, 0, safe), known.astype(float)
    functions = {
        "median": lambda: np.nanmedian(safe, axis=0),
        "mean": lambda: np.nanmean(safe, axis=0),
        "min": lambda: np.nanmin(safe, axis=0),
        "percentile": lambda: np.nanpercentile(safe, options["percentiles"][0], axis=0),
    }
    if kind not in functions:
        raise WrongError(f"Unrecognized function: Reducer.{kind}")
    return functions[kind](), known.astype(float)


def _commonest(values: np.ndarray) -> float:
    found, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    return found[np.argmax(counts)]


def _filter(kind: str, given: dict[str, Any]) -> Any:
    if kind in ("and", "or"):
        joined = all if kind == "and" else any
        return lambda image: joined(one(image) for one in given["filters"])
    if kind == "not":
        return lambda image: not given["filter"](image)
    if kind in ("lessThan", "greaterThan"):
        field, value, sign = given["leftField"], given["rightValue"], 1 if kind[0] == "l" else -1
        return lambda image: (
            field in image.properties and sign * image.properties[field] < sign * value
        )
    if kind == "dateRangeContains":
        low, high = (_milliseconds(day) for day in given["leftValue"])
        return lambda image: low <= image.properties[given["rightField"]] < high
    if kind == "intersects":
        places = np.array(given["rightValue"][1]["coordinates"][0])
        (west, south), (east, north) = places.min(axis=0), places.max(axis=0)

        def touches(image: Image) -> bool:
            xmin, ymin, xmax, ymax = image.bounds
            return xmin <= east and west <= xmax and ymin <= north and south <= ymax

        return touches
    raise WrongError(f"Unrecognized function: Filter.{kind}")


def _milliseconds(day: str) -> int:
    return int(np.datetime64(day, "ms").astype(np.int64))


def _binary(function: Any) -> Any:
    def apply(image1: Image, image2: Image) -> Image:
        ones, others = image1.bands, image2.bands
        if len(others) == 1:
            others = others * len(ones)
        if len(ones) != len(others):
            raise WrongError("Images of different numbers of bands do not go together.")
        return replace(
            image1,
            bands=tuple(
                Band(a.name, function(a.data, b.data), np.minimum(a.mask, b.mask))
                for a, b in zip(ones, others, strict=True)
            ),
        )

    return apply


def _not(value: Image) -> Image:
    return value.mapped(lambda b: replace(b, data=(b.data == 0).astype(int)))


_OPERATORS = {
    "add": _binary(np.add),
    "multiply": _binary(np.multiply),
    "bitwiseAnd": _binary(lambda a, b: a.astype(np.int64) & b.astype(np.int64)),
    "eq": _binary(lambda a, b: (a == b).astype(int)),
    "neq": _binary(lambda a, b: (a != b).astype(int)),
    "gt": _binary(lambda a, b: (a > b).astype(int)),
    "or": _binary(lambda a, b: ((a != 0) | (b != 0)).astype(int)),
    "and": _binary(lambda a, b: ((a != 0) & (b != 0)).astype(int)),
    "not": _not,
}
