"""What made files that are no rasters: carried by each form, and read back as it was."""

from __future__ import annotations

import json
import struct
import time
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import OutputError
from geoseg.raster.maker import (
    beside_table,
    comment_of,
    document_with,
    maker_path,
    page_with,
    picture_with,
    read_maker,
    text_with,
)
from geoseg.raster.provenance import made_by, maker_tags, provenance
from geoseg.report.page import Paragraph, Section, make_page
from geoseg.report.pictures import write_png

TAGS = provenance(
    ["geoseg", "evaluate", "später.tif", "--classes", '1=a&b,2="<x>",3=-->'],
    {"später.tif": "ab", "<b>.tif": "cd"},
    options={"classes": "1=a"},
)
PAGE = make_page("A page", [Section("One", (Paragraph("text"),))])
PIXELS = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)


def test_tags_are_made_of_what_they_say() -> None:
    said = made_by({**TAGS, "AREA_OR_POINT": "Area"})
    assert maker_tags(said) == TAGS
    assert said["inputs"] == {"später.tif": "ab", "<b>.tif": "cd"}
    assert made_by({"TIFFTAG_SOFTWARE": "other"}) == {}


def test_a_version_that_looks_like_a_number_stays_text() -> None:
    assert made_by({"GEOSEG_VERSION": "1.0", "GEOSEG_INPUTS": "{"}) == {
        "version": "1.0",
        "inputs": "{",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", picture_with(write_png(PIXELS), TAGS)),
        ("a.html", page_with(PAGE, TAGS).encode()),
        ("a.md", text_with("# Card\n\nText.\n", TAGS).encode()),
    ],
)
def test_each_form_gives_back_what_was_put_in(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert read_maker(path) == made_by(TAGS)


def test_a_photograph_says_it_in_its_comment(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(path, comment=b"preview by geoseg " + comment_of(TAGS))
    assert read_maker(path) == made_by(TAGS)


def test_a_comment_is_never_too_long() -> None:
    many = provenance(["geoseg", "x"], {f"scene-{i}.tif": "0" * 32 for i in range(2000)})
    said = json.loads(comment_of(many))
    assert "inputs" not in said
    assert said["command"] == "geoseg x"
    assert len(comment_of(provenance(["geoseg", "x" * 70_000], {}))) < 65_533


def test_gdal_prints_what_made_a_picture_and_its_pixels_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture_with(write_png(PIXELS), TAGS))
    with pytest.warns(NotGeoreferencedWarning):
        raster = rasterio.open(path)
    with raster:
        assert TAGS.items() <= raster.tags().items()
        assert (raster.read([1, 2, 3]).transpose(1, 2, 0) == PIXELS).all()
    Image.open(path).verify()


def test_only_pictures_of_one_form_can_say_it() -> None:
    with pytest.raises(OutputError, match="PNG"):
        picture_with(b"\xff\xd8", TAGS)


def test_a_page_stays_the_page_that_it_was() -> None:
    class Texts(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []

        def handle_data(self, data: str) -> None:
            self.found.append(data)

    one, other = Texts(), Texts()
    one.feed(PAGE)
    other.feed(page_with(PAGE, TAGS))
    assert one.found == other.found
    assert "<x>" not in page_with(PAGE, TAGS)


def test_a_text_ends_in_one_comment() -> None:
    text = text_with("# Card\n", TAGS)
    assert text.startswith("# Card\n\n<!-- made_by: {")
    assert text.count("-->") == 1
    assert text.endswith("} -->\n")


def test_a_document_keeps_its_own_keys_first() -> None:
    content = document_with({"b": 1, "a": 2}, TAGS)
    assert list(content) == ["b", "a", "made_by"]
    assert content["made_by"] == made_by(TAGS)


def test_a_table_is_told_of_by_a_file_beside_it() -> None:
    ((place, text),) = beside_table(Path("out/problems.csv"), TAGS).items()
    assert place == maker_path(Path("out/problems.csv")) == Path("out/problems.csv-metadata.json")
    content = json.loads(text)
    assert content["@context"] == "http://www.w3.org/ns/csvw"
    assert content["url"] == "problems.csv"
    assert content["made_by"] == made_by(TAGS)


@pytest.mark.parametrize("content", ['{"url": "a.csv"}', "[1]", "3", "{", ""])
def test_a_file_of_somebody_else_beside_a_table_stays(content, tmp_path):
    table = tmp_path / "a.csv"
    ((place, text),) = beside_table(table, TAGS).items()
    place.write_text(text)
    assert beside_table(table, TAGS) == {place: text}  # ours, of an earlier run
    place.write_text(content)
    assert beside_table(table, TAGS) == {}


@given(
    suffix=st.sampled_from([".png", ".jpg", ".html", ".md", ".txt"]),
    begin=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xfe\xff\xff", b"<meta name="]),
    rest=st.binary(max_size=64),
)
def test_anything_else_says_nothing_and_breaks_nothing(
    suffix: str, begin: bytes, rest: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(begin + rest)
    assert read_maker(path) is None


@given(cut=st.integers(0, 400), flip=st.integers(0, 399), value=st.integers(0, 255))
def test_damaged_pictures_are_read_or_left(
    cut: int, flip: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(picture_with(write_png(PIXELS), TAGS))
    content[flip] = value
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(content[:cut])
    found = read_maker(path)
    assert found is None or isinstance(found, dict)


def test_a_chunk_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    png = write_png(PIXELS)
    huge = struct.pack(">I", 0x7FFFFFFF) + b"iTXt" + b"GEOSEG_COMMAND\0\0\0\0\0x"
    path = tmp_path / "a.png"
    path.write_bytes(png[:33] + huge + struct.pack(">I", zlib.crc32(huge)) + png[33:])
    assert read_maker(path) is None


def test_a_photograph_whose_comment_has_no_size_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b'\xff\xd8\xff\xfe\0\1{"command": "geoseg"}')
    assert read_maker(path) is None


def test_a_text_of_many_beginnings_of_comments_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("<!-- made_by: {" * 80_000, encoding="utf-8")
    began = time.perf_counter()
    assert read_maker(path) is None
    assert time.perf_counter() - began < 5


def test_a_text_says_it_though_it_holds_such_a_comment_itself(tmp_path: Path) -> None:
    said = '<!-- made_by: {"command": "other"} -->'
    tags = provenance(["geoseg", "export", said], {}, options={"note": said})
    path = tmp_path / "a.md"
    path.write_bytes(text_with(f"# Card\n\n{said}\n", tags).replace("\n", "\r\n").encode())
    assert read_maker(path) == made_by(tags)
