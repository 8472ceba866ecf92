"""Pages that need nothing but themselves."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.raster.legend.palette import Ramp
from geoseg.raster.legend.written import parse_legend
from geoseg.report.page import (
    Cell,
    Fact,
    Facts,
    Figure,
    Folded,
    Grid,
    Heading,
    Key,
    Paragraph,
    Points,
    RampKey,
    Section,
    Strip,
    Table,
    data_uri,
    make_page,
)
from geoseg.report.pictures import error_picture
from geoseg.report.style import DARK, LIGHT

PNG = error_picture(np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def everything(text: str) -> str:
    figure = Figure(PNG, text, text, title=text)
    blocks = (
        Paragraph(text),
        Heading(text),
        Points((text, text)),
        Facts((Fact(text, text, text),)),
        Table(
            (text, "n"),
            ((text, Cell(text, spread=text, swatch=(1, 2, 3), best=True)),),
            (False, True),
            caption=text,
        ),
        figure,
        Grid((figure, Figure(SVG, text, wide=True))),
        Strip(text, (figure,) * 4, (figure,)),
        Key((((255, 0, 0), text),)),
        RampKey(text, Ramp(name="viridis", minimum=-1, maximum=1)),
        Folded(text, (Paragraph(text),)),
    )
    return make_page(text, (Section(text, blocks), Section(text, ())), lead=text, foot=text)


def test_page_refers_to_nothing_outside() -> None:
    reader = read(everything("plain"))
    for tag, attributes in reader.seen:
        assert tag not in {"script", "link", "iframe", "object"}
        for name, value in attributes.items():
            if name == "src":
                assert value is not None
                assert value.startswith("data:image/")
            if name == "href":
                assert value is not None
                assert value.startswith("#")
    assert "default-src 'none'" in everything("plain").replace("&#x27;", "'")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_text_stays_text_whatever_it_holds(text: str) -> None:
    plain, odd = read(everything("plain")), read(everything(text))
    assert [tag for tag, _ in odd.seen] == [tag for tag, _ in plain.seen]
    assert odd.text.count(text) >= 10


def test_markup_in_names_is_shown_as_it_is() -> None:
    page = everything('<script>alert("x")</script>')
    assert "<script>" not in page
    assert '"x"' not in page
    assert read(page).seen[0][0] == "html"


def test_sections_of_one_name_have_links_of_their_own() -> None:
    page = make_page("t", [Section("Größe", ()), Section("Größe", ()), Section("–", ())])
    names = [a["id"] for _, a in read(page).seen if "id" in a]
    assert len(set(names)) == 3
    assert [a["href"] for t, a in read(page).seen if t == "a"] == [f"#{n}" for n in names]


def test_every_image_has_a_text_for_who_cannot_see_it() -> None:
    assert all(a.get("alt") for tag, a in read(everything("what it is")).seen if tag == "img")


def test_images_are_in_the_page_to_the_byte() -> None:
    page = make_page("t", [Section("s", (Figure(PNG, "a"),))])
    found = re.search(r"data:image/png;base64,([^\"]+)", page)
    assert found is not None
    assert b64decode(found[1]) == PNG
    assert data_uri(SVG).startswith("data:image/svg+xml;base64,")
    assert data_uri(b"\xff\xd8\xff\xe0") == "data:image/jpeg;base64,/9j/4A=="


def test_links_lead_to_files_beside_the_page_whatever_their_names() -> None:
    cell = Cell("see ", links=(("a & b", "maps/a & b#1?.tif"), ("c", "c/")))
    table = Table(("x",), ((cell,),), (False,)).html()
    assert 'see <a href="maps/a%20%26%20b%231%3F.tif">a &amp; b</a>, <a href="c/">c</a>' in table
    assert Figure(PNG, "a", link='"x').html().startswith('<figure><a href="%22x"><img alt="a"')
    assert "<div class=pictures><figure>" in Grid((Figure(PNG, "a"),), small=True).html()


def test_other_images_are_refused_in_words() -> None:
    with pytest.raises(OptionError, match="PNG, JPEG and SVG"):
        data_uri(b"GIF89a")


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(OptionError, match="2 columns has a row of 1"):
        Table(("a", "b"), (("1",),), (False, False))


def test_key_of_a_legend_has_its_names_and_colours() -> None:
    legend = parse_legend("1=water:#0000ff,2=forest:#00ff00")
    html = Key.of(legend).html()
    assert "rgb(0,0,255)" in html
    assert "forest" in html


def test_key_of_a_ramp_has_its_colours_its_limits_and_the_middle() -> None:
    stops = ((0.0, (1, 2, 3)), (0.25, (4, 5, 6)), (1.0, (7, 8, 9)))
    html = RampKey("height", Ramp(name="ours", minimum=-1.5, maximum=0.5, stops=stops)).html()
    assert "linear-gradient(90deg,rgb(1,2,3) 0%,rgb(4,5,6) 25%,rgb(7,8,9) 100%)" in html
    assert "<span>−1.5</span><span>−0.5</span><span>0.5</span>" in html
    assert ">height<" in html


def test_a_strip_has_a_second_row_only_if_there_is_something_below() -> None:
    figure = Figure(PNG, "a")
    assert Strip("s", (figure,)).html().count("class=row") == 1
    two = Strip("s", (figure, figure), (figure,)).html()
    assert [row.count("<img") for row in two.split("class=row")] == [0, 2, 1]


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_text_stands_out_in_light_and_dark() -> None:
    # WCAG 2.1: 4.5 for text, 3 for graphics.
    for theme in (LIGHT, DARK):
        page = luminance(theme["page"])
        for name in ("ink", "muted", "accent"):
            assert contrast(luminance(theme[name]), page) >= 4.5, name
        assert contrast(luminance(theme["second"]), page) >= 3
        assert contrast(luminance(theme["muted"]), luminance(theme["panel"])) >= 4.5
    assert set(LIGHT) == set(DARK)
