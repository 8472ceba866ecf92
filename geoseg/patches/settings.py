"""What a person may choose about patches, checked once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypedDict, get_args

from geoseg.compositing.homogenise.standard import Method
from geoseg.errors import OptionError
from geoseg.patches.dataset import SPLITS, Storage
from geoseg.patches.presence import PRESENT
from geoseg.patches.tiling import check_size_and_stride

METHODS: tuple[str, ...] = get_args(Method)
"""Ways to bring a group of scenes to one colour."""


class TileOptions(TypedDict, total=False):
    """Settings of `geoseg.patches.tile.tile`, all with defaults."""

    size: int
    """Rows and columns of a patch; 256."""
    stride: int | None
    """Pixels from one patch to the next; by default the size. The last patch of a row or column is
    flush with the border, so that every pixel is in a patch. A scene smaller than a patch gives
    one patch, padded on the right and below."""
    bands: Sequence[str] | None
    """Bands to use; all by default."""
    band_names: Sequence[str] | None
    """What bands are called where the files do not say."""
    max_nodata: float
    """A patch with strictly more than this share of invalid readings is dropped; 0.5. A pixel is
    invalid where any used band is, and then all its readings count as invalid (all will be
    filled), so that this is a share of pixels too. Padding is invalid. (The cropland-cam paper
    counts NaN band by band, which differs where only some bands are NaN.)"""
    min_labelled: float
    """A patch with a smaller share of labelled pixels is dropped; 0. A patch without any is always
    dropped, if there are labels. With polygons of whole patches' labels: the share that they
    cover."""
    present: float
    """A class is present in a patch where it covers strictly more than this share of it; 0.05."""
    label_field: str | None
    """Column or field of a label table that names the classes; by default ``classes`` or ``class``,
    else a column a class."""
    min_confidence: float | None
    """Labels of a lower confidence are taken as unlabelled; by default all are kept."""
    fill: float
    """Replaces invalid readings; 0."""
    split: str | Sequence[float]
    """Wanted shares of training, validation and test patches; 0.8, 0.1, 0.1."""
    split_block: int | None
    """Side, in patches, of the blocks of ground that are given to one split each; see
    `geoseg.patches.splits`. By default one that loses few patches and comes near to the shares.
    Photographs, if there are more than splits, are each given to one whole."""
    classes: str | None
    """As for `parse_legend`; by default what the label raster says, else the values that it
    holds."""
    region: str | None
    """Polygons (a file) or "xmin,ymin,xmax,ymax": patches are laid over the part of each scene
    around it, those that do not touch it are dropped, and labels outside do not count."""
    assume_aligned: bool
    """Take labels without georeference as lying on the scene pixel by pixel."""
    fit_labels: bool
    """Bring photographs that are n times as large as their labels to the labels' pixels, by means
    of n × n; never labels up. The set and its models keep n."""
    mosaic: bool
    """Take all scenes as tiles of one."""
    homogenise: str | None
    """Bring the scenes to one colour before they are cut: "moments", "histogram" or "overlap" for
    that of the group, or the file of a colour that `geoseg homogenise` saved; None (the default)
    takes them as they are."""
    storage: Storage
    """"npy" (the default; arrays that are memory-mapped for training) or "geotiff" (a file a
    patch)."""
    seed: int
    """Chooses which blocks go where; 0. Same inputs, settings and seed, same bytes."""
    workers: int | None
    """Threads; by default one a processor."""


@dataclass(frozen=True, kw_only=True)
class TileSettings:
    """`TileOptions` with the defaults filled in, checked."""

    size: int
    stride: int
    max_nodata: float
    min_labelled: float
    present: float
    label_field: str | None
    min_confidence: float | None
    fill: float
    shares: tuple[float, float, float]
    """Of training, validation and test patches; they sum to 1."""
    split_block: int | None
    bands: tuple[str, ...] | None
    band_names: tuple[str, ...] | None
    classes: str | None
    region: str | None
    assume_aligned: bool
    fit_labels: bool
    mosaic: bool
    homogenise: str | None
    storage: Storage
    seed: int
    workers: int

    @classmethod
    def of(cls, options: TileOptions) -> TileSettings:
        """Fill in the defaults and check.

        Raises
        ------
        OptionError
            A setting has no meaning.
        """
        unknown = set(options) - set(TileOptions.__annotations__)
        if unknown:
            raise TypeError(f"unexpected settings: {', '.join(sorted(unknown))}")
        size = options.get("size", 256)
        stride = options.get("stride")
        bands, names = options.get("bands"), options.get("band_names")
        confidence = options.get("min_confidence")
        return cls(
            size=size,
            stride=size if stride is None else stride,
            max_nodata=float(options.get("max_nodata", 0.5)),
            min_labelled=float(options.get("min_labelled", 0.0)),
            present=float(options.get("present", PRESENT)),
            label_field=options.get("label_field"),
            min_confidence=None if confidence is None else float(confidence),
            fill=float(options.get("fill", 0.0)),
            shares=parse_shares(options.get("split", (0.8, 0.1, 0.1))),
            split_block=options.get("split_block"),
            bands=None if bands is None else tuple(bands),
            band_names=None if names is None else tuple(names),
            classes=options.get("classes"),
            region=options.get("region"),
            assume_aligned=options.get("assume_aligned", False),
            fit_labels=options.get("fit_labels", False),
            mosaic=options.get("mosaic", False),
            homogenise=options.get("homogenise"),
            storage=options.get("storage", "npy"),
            seed=options.get("seed", 0),
            workers=options.get("workers") or os.cpu_count() or 1,
        )

    def __post_init__(self) -> None:
        check_size_and_stride(self.size, self.stride)
        for name in ("max_nodata", "min_labelled", "min_confidence"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                option = f"--{name.replace('_', '-')}"
                raise OptionError(f"{option} {share:g} is no share: give a number from 0 to 1")
        if not 0 <= self.present < 1:
            raise OptionError(
                f"--present {self.present:g} is no share that a class can exceed: give a number "
                "from 0 to below 1"
            )
        if not math.isfinite(self.fill):
            raise OptionError(f"--fill {self.fill} is no number that a network can see")
        if self.split_block is not None and self.split_block < 1:
            raise OptionError(f"--split-block {self.split_block} has no meaning: give 1 or more")
        _check_homogenise(self.homogenise)
        if self.storage not in get_args(Storage):
            kinds = " or ".join(get_args(Storage))
            raise OptionError(f"patches cannot be stored as {self.storage!r}: choose {kinds}")
        if self.workers < 1:
            raise OptionError(f"{self.workers} workers do no work: give 1 or more")

    @property
    def pixels(self) -> int:
        """Pixels of a patch."""
        return self.size * self.size

    @property
    def most_invalid(self) -> int:
        """Pixels that may be invalid before a patch is dropped."""
        # As it is written and not as binary fractions have it: 0.29 of 100 pixels is 29.
        return math.floor(Fraction(repr(float(self.max_nodata))) * self.pixels)

    @property
    def fewest_labelled(self) -> int:
        """Pixels that must be labelled."""
        return math.ceil(Fraction(repr(float(self.min_labelled))) * self.pixels)

    def patch_tags(self) -> dict[str, str]:
        """Say what made a patch that is a file: not of which scenes, which the set says.

        No date is in it, so that it is the same whichever machine cuts.
        """
        from geoseg.raster.provenance import provenance  # noqa: PLC0415 — loads rasterio

        tags = provenance(self.command([], []), {})
        return {name: tags[name] for name in ("GEOSEG_COMMAND", "GEOSEG_VERSION")}

    def command(
        self,
        scenes: Sequence[str],
        labels: Sequence[str],
        confidence: Sequence[str] = (),
        label_table: str | None = None,
    ) -> list[str]:
        """Return the command that makes the same data set, files by their names alone."""
        words = ["geoseg", "tile", *(Path(s).name for s in scenes)]
        for path in labels:
            words += ["--labels", Path(path).name]
        for path in confidence:
            words += ["--confidence", Path(path).name]
        if self.min_confidence is not None:
            words += ["--min-confidence", repr(self.min_confidence)]
        if label_table is not None:
            words += ["--label-table", Path(label_table).name]
        if self.label_field is not None:
            words += ["--label-field", self.label_field]
        if self.present != PRESENT:
            words += ["--present", repr(self.present)]
        words += ["--size", str(self.size), "--stride", str(self.stride)]
        words += ["--max-nodata", repr(self.max_nodata), "--fill", f"{self.fill:g}"]
        if self.min_labelled:
            words += ["--min-labelled", repr(self.min_labelled)]
        words += ["--split", ",".join(f"{share:g}" for share in self.shares)]
        if self.split_block is not None:
            words += ["--split-block", str(self.split_block)]
        if self.bands is not None:
            words += ["--bands", ",".join(self.bands)]
        if self.band_names is not None:
            words += ["--band-names", ",".join(self.band_names)]
        if self.classes is not None:
            is_file = Path(self.classes).suffix and "=" not in self.classes
            words += ["--classes", Path(self.classes).name if is_file else self.classes]
        if self.region is not None:
            is_box = self.region.count(",") == 3
            words += ["--region", self.region if is_box else Path(self.region).name]
        words += ["--assume-aligned"] * self.assume_aligned
        words += ["--fit-labels"] * self.fit_labels + ["--mosaic"] * self.mosaic
        asked = self.homogenise
        words += [] if asked is None else ["--homogenise", Path(asked).name]
        return [*words, "--format", self.storage, "--seed", str(self.seed)]


def _check_homogenise(asked: str | None) -> None:
    """Refuse what is neither a way to bring scenes to one colour nor a file."""
    if asked is not None and asked not in METHODS and not Path(asked).is_file():
        raise OptionError(
            f"--homogenise {asked} is no way to bring scenes to one colour and no file: give "
            f"{', '.join(METHODS)}, or the colour.json that geoseg homogenise saved"
        )


def parse_shares(split: str | Sequence[float]) -> tuple[float, float, float]:
    """Read the wanted shares of training, validation and test patches.

    Parameters
    ----------
    split
        ``"0.8,0.1,0.1"`` or the numbers; in any unit ("80,10,10" is the same). Two numbers leave
        out the test patches.

    Returns
    -------
    Three shares that sum to 1.

    Raises
    ------
    OptionError
        Not two or three numbers of 0 or more with a positive sum.
    """
    parts = split.split(",") if isinstance(split, str) else list(split)
    try:
        numbers = [Fraction(str(part).strip()) for part in parts]
    except (ValueError, ZeroDivisionError):
        numbers = []
    total = sum(numbers)
    if len(numbers) not in (2, 3) or min(numbers) < 0 or total <= 0:
        given = split if isinstance(split, str) else ",".join(map(str, split))
        raise OptionError(
            f"--split {given} does not give the shares of {', '.join(SPLITS)}: give three numbers, "
            "0.8,0.1,0.1 say"
        )
    numbers += [Fraction(0)] * (3 - len(numbers))
    train, val, test = (float(number / total) for number in numbers)
    return train, val, test
