"""What functions make of arguments of other types, and what they say of those that mean nothing."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.api.arguments import _READ, _alternatives, _settings, checked
from geoseg.api.common import Listed, PathLike, Progress
from geoseg.errors import OptionError

# -- one function that takes everything ----------------------------------------------------------


@checked()
def take(
    scene: PathLike | list[PathLike] | None = None,
    *,
    paths: PathLike | Sequence[PathLike] = (),  # noqa: F821 — read as it is written
    names: Sequence[str] | None = None,  # noqa: F821
    ids: Sequence[int | str] = (),  # noqa: F821
    shares: Sequence[float] = (),  # noqa: F821
    number: int = 1,
    share: float | None = None,
    switch: bool = False,
    text: str | None = None,
    classes: Listed | None = None,
    codes: str | None = None,
    day: date | None = None,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Return what came."""
    return {key: value for key, value in locals().items() if value is not None}


class Address:
    """A path of another library."""

    def __fspath__(self) -> str:
        return "a/b.tif"


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("paths", Path("a"), Path("a")),
        ("paths", Address(), "a/b.tif"),
        ("paths", ["a", Path("b")], ("a", Path("b"))),
        ("paths", (name for name in "ab"), ("a", "b")),
        ("paths", np.array(["a", "b"]), ("a", "b")),
        ("paths", None, ()),
        ("names", "nir", ("nir",)),
        ("names", ["red", "nir"], ("red", "nir")),
        ("ids", "forest", ("forest",)),
        ("ids", 3, (3,)),
        ("ids", [np.uint8(3), "forest"], (3, "forest")),
        ("shares", 1.5, (1.5,)),
        ("shares", np.array([0.5, 0.25]), (0.5, 0.25)),
        ("number", np.int64(7), 7),
        ("share", np.float32(0.5), 0.5),
        ("share", 2, 2),
        ("switch", np.bool_(True), True),
        ("text", Path("a/b"), "a/b"),
        ("classes", {1: "water", 2: "forest"}, "1=water,2=forest"),
        ("classes", ["1=water", "2=forest"], "1=water,2=forest"),
        ("codes", {1: 1, "*": None}, "1=1,*=nodata"),
        ("codes", {(0, 255, 16): 2}, "#00ff10=2"),
        ("day", "2024-05-06", date(2024, 5, 6)),
        ("day", datetime(2024, 5, 6, 12), date(2024, 5, 6)),
        ("progress", print, print),
    ],
)
def test_what_means_one_thing_is_taken(name, given, taken):
    found = take(**{name: given})[name]
    assert found == taken
    assert type(found) is type(taken)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("paths", np.zeros((2, 2)), "paths is a path or a list of paths, not an array; geoseg.pr"),
        ("paths", [np.zeros((2, 2))], "list of paths, not a list with an array"),
        ("paths", 3, "not 3"),
        ("names", ["red", 4], "names is a list of texts, not a list with 4"),
        ("names", {"red": 1}, "not a dict"),
        ("number", "64", "number is a whole number, not '64'"),
        ("number", 64.5, "number is a whole number, not 64.5"),
        ("number", None, "number is a whole number, not None"),
        ("share", "half", "share is a number, not 'half'"),
        ("switch", "yes", "switch is True or False, not 'yes'"),
        ("text", 5, "text is a text, not 5"),
        ("codes", 5, "codes is a text, not 5"),
        ("day", "May", "day is a date, not 'May'"),
        ("progress", True, "progress is a function, not True"),
        ("nubmer", 1, "no parameter nubmer; did you mean number?"),
        ("zzzz", 1, "no parameter zzzz$"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(name, given, says):
    with pytest.raises(OptionError, match=f"^take.*{says}") as caught:
        take(**{name: given})
    assert "\n" not in str(caught.value)


def test_arguments_that_are_missing_or_too_many_are_told_by_python():
    with pytest.raises(TypeError, match="positional"):
        take("a", "b")
    with pytest.raises(TypeError, match="output"):
        geoseg.predict("scene.tif")


# -- likely mistakes -----------------------------------------------------------------------------


class CrossEntropyLoss:
    """A loss of another library."""


ARRAY = np.zeros((2, 4, 4), np.uint16)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: geoseg.predict(ARRAY, "m.tif"), "scene is .* not an array; geoseg.predict_array"),
        (lambda: geoseg.tile("s.tif", "p", labels=ARRAY), "labels is .* not an array"),
        (lambda: geoseg.evaluate(ARRAY, ARRAY), "prediction is .* not an array"),
        (
            lambda: geoseg.predict("s.tif", "m.tif", region=(0, 0, 9, 9)),
            "region is a path, not a tuple; write 'xmin,ymin,xmax,ymax'",
        ),
        (
            lambda: geoseg.train("p", "m.safetensors", optimizer=object()),
            "optimizer is a text, not an object; write 'adamw'",
        ),
        (lambda: geoseg.predict(Path("s3://b/s.tif"), "m.tif"), "s3:/b/s.tif: a Path takes a sl"),
        (lambda: geoseg.tile("s.tif", Path("s3://b/p")), "s3:/b/p: a Path takes a slash"),
        (
            lambda: geoseg.recode([Path("https://h/s.tif")], "m", codes="1=1"),
            "h/s.tif: a Path takes a slash",
        ),
        (lambda: geoseg.tile("s.tif", "p", size="64"), "size is a whole number, not '64'"),
        (lambda: geoseg.tile("s.tif", "p", chip_size=64), "chip_size; did you mean size"),
        (lambda: geoseg.train("p", "m.safetensors", epoch=3), "epoch; did you mean epochs"),
        (
            lambda: geoseg.train("p", "m.safetensors", loss=CrossEntropyLoss()),
            "loss is a text, not a CrossEntropyLoss; write 'ce'; docs/extend/loss says how",
        ),
        (
            lambda: geoseg.predict("s.tif", "m.tif", min_area=10.5),
            "min_area is a text or a whole number, not 10.5; write 10, '10px', '0.5ha'",
        ),
        (
            lambda: geoseg.coverage("m.tif", "c.tif", target="a", cell=600),
            "cell is a text, not 600; write '600m' or '600px'",
        ),
    ],
)
def test_a_likely_mistake_is_told(call, says):
    with pytest.raises(OptionError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_every_function_checks_its_arguments():
    for name in set(geoseg.__all__) - {"__version__"}:
        assert hasattr(getattr(geoseg, name), "__wrapped__"), name


def test_every_word_of_an_annotation_is_understood():
    objects = {"Scene", "ModelBundle", "PatchDataset", "NDArray"}
    found = [a for name in set(geoseg.__all__) - {"__version__"} for a in annotations(name)]
    heads = {kind.partition("[")[0] for a in found for kind in _alternatives(a)}
    assert heads - set(_READ) - {"Sequence"} == objects


def annotations(name):
    """Types of a function's parameters, as they are written; settings are spread out."""
    for key, kind in getattr(geoseg, name).__annotations__.items():
        if kind.startswith("Unpack["):
            home = "geoseg.patches.settings" if name == "tile" else "geoseg.api.learning"
            yield from _settings(f"{home}.{kind[7:-1]}").values()
        elif key != "return":
            yield kind


def test_an_open_raster_stands_for_its_file(work, tmp_path):
    folder, _, truth = work
    with rasterio.open(folder / "scene.tif") as scene:
        geoseg.predict(
            scene, tmp_path / "m.tif", model=folder / "model.safetensors", tile=16, workers=1
        )
    with rasterio.open(tmp_path / "m.tif") as made:
        assert (made.read(1) == truth).all()


def test_codes_and_classes_can_be_dictionaries_and_lists(halves):
    geoseg.recode(
        halves / "map.tif",
        halves / "r.tif",
        codes={3: 1, 5: None},
        classes=["1=green:#00ff00"],
        workers=1,
    )
    with rasterio.open(halves / "r.tif") as made:
        assert made.read(1)[0].tolist() == [1] * 5 + [255] * 5
    found = geoseg.evaluate(
        halves / "map.tif", halves / "labels.tif", classes={3: "grass", 5: "water"}, workers=1
    )
    assert found.scores.pixel_accuracy == pytest.approx(0.9)


def test_one_class_is_a_text(halves):
    found = geoseg.coverage(
        halves / "map.tif", halves / "c.tif", target="grass", cell="100m", workers=1
    )
    assert found.total.coverage == pytest.approx(50)


def test_a_list_of_many_classes_is_no_file_name(halves):
    classes = {3: "grass", 5: "water"} | {number: f"a class {number}" for number in range(6, 60)}
    found = geoseg.coverage(
        halves / "map.tif",
        halves / "c.tif",
        target="grass",
        cell="100m",
        classes=classes,
        workers=1,
    )
    assert found.total.coverage == pytest.approx(50)
