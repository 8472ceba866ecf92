"""A data set of patches as it lies on disk. Knows how to open one, not how one is made.

A folder with ``dataset.json`` (bands, classes, statistics, where it came from), ``index.gpkg`` (a
footprint a patch) and a folder a split (``train``, ``val``, ``test``) with the pixels:

- storage ``npy``: ``images.npy`` (patches, bands, rows, cols) in the scene's dtype, invalid pixels
  replaced by the fill value; ``labels.npy`` (patches, rows, cols) uint8 class *index*, 255 where
  unlabelled, invalid or outside the region; ``class_pixels.npy`` (patches, classes) int64 pixels a
  class. Both arrays of pixels are memory-mapped. ``confidence.npy`` (patches, rows, cols) uint8,
  round(255 · confidence) of each label, 0 where there is none, if labels came with confidences.
- storage ``geotiff``: ``images/NAME.tif`` (invalid pixels hold the scene's nodata value, in all
  bands), ``labels/NAME.tif`` (class index, nodata 255), ``confidence/NAME.tif``, ``files.txt`` with
  the names in order, and ``class_pixels.npy``.

Labels may be of whole patches instead: then ``presence.npy`` (patches, classes) uint8 (1 present,
0 absent, 255 unknown) stands in place of labels and class counts, in both storages.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise.standard import Standard
from geoseg.errors import ColourError, DatasetError, LabelError
from geoseg.patches.bandjson import statistics_of_json
from geoseg.patches.presence import PRESENT, present_in
from geoseg.raster.bandstatistics import BandStatistics
from geoseg.raster.far.brought import address_of
from geoseg.raster.legend import Legend

FORMAT = "geoseg-patches"
VERSION = 1
SPLITS = ("train", "val", "test")
UNLABELLED = 255
_NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_NAME = re.compile(r"\w[\w-]*")

Storage = Literal["npy", "geotiff"]
Labelling = Literal["pixels", "patches"]


class ArrayLike(Protocol):
    """What a split's pixels can do, whether memory-mapped or read from a file a patch."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, patches first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a reading."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> NDArray[Any]: ...


@dataclass(frozen=True, kw_only=True)
class PatchArrays:
    """The pixels of one split."""

    split: str
    """Its name."""
    images: ArrayLike
    """(patches, bands, rows, cols), raw readings; invalid pixels hold the fill value."""
    labels: ArrayLike | None
    """(patches, rows, cols) uint8 class index, 255 = unlabelled; None where pixels have no
    labels."""
    class_pixels: NDArray[np.int64] | None
    """(patches, classes); None where pixels have no labels."""
    presence: NDArray[np.uint8] | None = None
    """(patches, classes): 1 where the patch holds the class, 0 where not, 255 unknown; None where
    the set has no labels. Of labelled pixels, by the rule of `geoseg.patches.presence`."""
    confidence: ArrayLike | None = None
    """(patches, rows, cols) uint8, round(255 · confidence) of each label; None where labels came
    without."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return a patch and what a network shall say of it, as a torch DataLoader takes them.

        Parameters
        ----------
        number
            Its place in the split; from the end below 0.

        Returns
        -------
        image
            (bands, rows, cols) readings, not normalised.
        labels
            (rows, cols) class index, 255 = unlabelled; where labels are of whole patches (classes,)
            1 present, 0 absent, 255 unknown.

        Raises
        ------
        IndexError
            There is no such patch.
        DatasetError
            The set has no labels.
        """
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no patch {number} of {len(self)} in {self.split}")
        labels = self.presence if self.labels is None else self.labels
        if labels is None:
            raise DatasetError("the data set has no labels: take its images alone")
        place = number % len(self)
        # Copies: torch warns of arrays that cannot be written to.
        return self.images[place].astype(np.float32), labels[place].astype(np.int64)


class PatchDataset:
    """An opened data set of patches; make one with `open`."""

    def __init__(self, folder: Path, metadata: Mapping[str, Any]) -> None:
        """Take the content of ``dataset.json``; use `open` instead, which checks it."""
        self.folder = folder
        self.metadata = metadata
        """The whole of ``dataset.json``."""
        self.storage: Storage = metadata["storage"]
        self.size: int = int(metadata["size"])
        """Rows and columns of a patch."""
        self.stride: int = int(metadata["stride"])
        self.bands: tuple[str, ...] = tuple(metadata["bands"])
        self.dtype: np.dtype[Any] = np.dtype(metadata["dtype"])
        self.fill: float = metadata["fill"]
        """Raw value of invalid pixels."""
        self.max_nodata: float = float(metadata["max_nodata"])
        classes = metadata["classes"]
        self.legend: Legend | None = None if classes is None else Legend.from_json(classes)
        """Classes in the order of their index; None where the set has no labels."""
        self.labelling: Labelling | None = _labelling(metadata)
        """What labels are of: each pixel, or whole patches; None where the set has none."""
        self.present: float = float(metadata.get("present", PRESENT))
        """Share of a patch that a class must exceed to be present in it."""
        self.has_confidence: bool = bool(metadata.get("confidence", False))
        """Whether the labels came with confidences."""
        resolution = metadata["resolution"]
        self.resolution: tuple[float, float] = (float(resolution[0]), float(resolution[1]))
        """Length of a pixel along a row and along a column, in `crs_units`."""
        self.crs_units: str | None = metadata["crs_units"]
        """"metre", "degree" …; None without a coordinate system."""
        self.statistics: tuple[BandStatistics, ...] = tuple(
            statistics_of_json(band) for band in metadata["statistics"]["bands"]
        )
        """Of each band over the training patches."""
        self.class_pixels: dict[str, tuple[int, ...]] = {
            name: tuple(int(n) for n in counts)
            for name, counts in metadata.get("class_pixels", {}).items()
        }
        """Labelled pixels of each class, by split; empty where pixels have no labels."""
        self.splits: dict[str, int] = {name: int(n) for name, n in metadata["splits"].items()}
        """Number of patches, by split."""
        self.scale: int = int(metadata.get("scale", 1))
        """n where scenes were brought to 1:n before they were cut."""
        self.seed: int = int(metadata["seed"])
        colour = metadata.get("colour")
        self.colour: Standard | None = (
            None
            if colour is None
            else Standard.from_json(
                colour, source=str(folder / "dataset.json"), advice="tile the scenes again"
            )
        )
        """Colour that the scenes were brought to before they were cut, of the set's bands; None
        where they were taken as they are."""
        if self.colour is not None and self.colour.names != self.bands:
            raise ValueError("its colour is of other bands")
        if min(self.size - 1, *self.splits.values(), 0) < 0 or self.dtype.kind not in "iuf":
            raise ValueError("its patches have no size, or hold no numbers")
        if any(len(pixels) != len(self.legend or ()) for pixels in self.class_pixels.values()):
            raise ValueError("it counts pixels of other classes")
        # Splits are folders: none may lie elsewhere.
        if not {*map(type, self.bands)} <= {str} or not all(map(_NAME.fullmatch, self.splits)):
            raise ValueError("its bands or its splits have no names")

    @classmethod
    def open(cls, folder: str | Path) -> PatchDataset:
        """Open the data set in a folder.

        Parameters
        ----------
        folder
            Here, or in object storage (``s3://bucket/folder``): then it is brought here whole,
            what is not here yet of it (`geoseg.patches.addressed`).

        Raises
        ------
        DatasetError
            There is none, or it is not whole, or a newer geoseg wrote it.
        OutputError
            There is no room to bring it here.
        """
        address = address_of(folder)
        if address is not None:
            # Imported here: rasterio.
            from geoseg.patches.addressed import bring_dataset  # noqa: PLC0415

            folder = bring_dataset(address)
        folder = Path(folder)
        path = folder / "dataset.json"
        try:
            metadata = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DatasetError(
                f"{folder} is no data set of patches (it has no dataset.json): "
                "make one with geoseg tile"
            ) from error
        except NotADirectoryError as error:
            raise DatasetError(
                f"{folder} is a file: give the folder that geoseg tile made"
            ) from error
        except (RecursionError, ValueError) as error:
            raise DatasetError(f"{path} is damaged ({error}): tile the scenes again") from error
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror or error}") from error
        if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
            raise DatasetError(f"{path} does not describe a data set of patches")
        if metadata.get("version") != VERSION:
            raise DatasetError(
                f"{path} has version {metadata.get('version')} and this geoseg reads version "
                f"{VERSION}: update geoseg or tile the scenes again"
            )
        try:
            return cls(folder, metadata)
        except (*_NONSENSE, LabelError) as error:
            raise DatasetError(f"{path} is damaged ({error!r}): tile the scenes again") from error
        except ColourError as error:
            raise DatasetError(str(error)) from error

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each band over the training patches, raw units."""
        return tuple(band.mean for band in self.statistics)

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each band over the training patches, raw units."""
        return tuple(band.std for band in self.statistics)

    def split(self, name: str) -> PatchArrays:
        """Pixels of a split, memory-mapped (or read file by file when indexed).

        Raises
        ------
        DatasetError
            There is no such split, or its files are missing, cut short or of another shape.
        """
        if name not in self.splits:
            raise DatasetError(
                f"{self.folder} has no split {name!r}; it has {', '.join(self.splits) or 'none'}"
            )
        count = self.splits[name]
        image_shape = (count, len(self.bands), self.size, self.size)
        folder = self.folder / name
        if self.storage == "npy":
            pixels = _Pixels(_mapped(folder / "images.npy", image_shape, self.dtype))
            if self.labelling == "pixels":
                pixels.labels = self._bytes(folder / "labels.npy", count)
            if self.has_confidence:
                pixels.confidence = self._bytes(folder / "confidence.npy", count)
        else:
            pixels = self._files(folder, count)
        class_pixels, presence = None, None
        if self.legend is not None:
            shape = (count, len(self.legend))
            if self.labelling == "patches":
                presence = np.array(_mapped(folder / "presence.npy", shape, np.dtype(np.uint8)))
            else:
                counts = _mapped(folder / "class_pixels.npy", shape, np.dtype(np.int64))
                class_pixels = np.array(counts)
                presence = present_in(
                    class_pixels, share=self.present, pixels=self.size * self.size
                )
        return PatchArrays(
            split=name,
            images=pixels.images,
            labels=pixels.labels,
            class_pixels=class_pixels,
            presence=presence,
            confidence=pixels.confidence,
        )

    def hash(self) -> str:
        """Fingerprint of the set, 32 hexadecimal digits.

        Taken of ``dataset.json``, which holds the fingerprints of the scenes and the exact
        statistics, and of what classes every patch holds; not of the pixels themselves.
        """
        digest = hashlib.blake2b(digest_size=16)
        digest.update((self.folder / "dataset.json").read_bytes())
        for name in self.splits:
            for file in ("class_pixels.npy", "presence.npy"):
                path = self.folder / name / file
                if path.exists():
                    digest.update(path.read_bytes())
        return digest.hexdigest()

    def _bytes(self, path: Path, count: int) -> ArrayLike:
        """Map an array of a byte a pixel."""
        return _mapped(path, (count, self.size, self.size), np.dtype(np.uint8))

    def _files(self, folder: Path, count: int) -> _Pixels:
        """Patches that are a file each."""
        # Imported here: sets of arrays are trained on without rasterio.
        from geoseg.raster.patchfiles import PatchFiles  # noqa: PLC0415

        try:
            names = (folder / "files.txt").read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, ValueError) as error:
            raise DatasetError(f"cannot read {folder / 'files.txt'}: {error}") from error
        if any(name in ("", ".", "..") or set(name) & set("/\\:\0") for name in names):
            raise DatasetError(
                f"{folder / 'files.txt'} names files elsewhere: tile the scenes again"
            )
        if len(names) != count:
            raise DatasetError(
                f"{folder} lists {len(names)} patches and dataset.json {count}: "
                "tile the scenes again"
            )
        images = PatchFiles(
            [folder / "images" / name for name in names],
            patch_shape=(len(self.bands), self.size, self.size),
            dtype=self.dtype,
            fill=self.fill,
        )
        pixels = _Pixels(images)

        def single(kind: str) -> ArrayLike:
            return PatchFiles(
                [folder / kind / name for name in names],
                patch_shape=(1, self.size, self.size),
                dtype=np.uint8,
                squeeze=True,
            )

        if self.labelling == "pixels":
            pixels.labels = single("labels")
        if self.has_confidence:
            pixels.confidence = single("confidence")
        return pixels


@dataclass
class _Pixels:
    """What a split holds for each pixel."""

    images: ArrayLike
    labels: ArrayLike | None = None
    confidence: ArrayLike | None = None


def _labelling(metadata: Mapping[str, Any]) -> Labelling | None:
    """Say what labels are of; sets that do not are older than labels of whole patches."""
    if metadata["classes"] is None:
        return None
    found = metadata.get("labelling", "pixels")
    if found not in get_args(Labelling):
        raise ValueError(f"labelling {found!r}")
    labelling: Labelling = found
    return labelling


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Memory-map an array after checking that it is the one described."""
    try:
        with np.errstate(over="ignore"):  # of sizes beyond reason
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # its header is parsed as Python's literals are, which trip anyhow
        raise DatasetError(f"cannot read {path}: {error}; tile the scenes again") from error
    if array.shape != shape or array.dtype != dtype:
        raise DatasetError(
            f"{path} holds {array.dtype} of shape {array.shape} and dataset.json says {dtype} of "
            f"shape {shape}: tile the scenes again"
        )
    return array
