"""XML of others is read, and does no harm."""

from __future__ import annotations

import pytest

from geoseg.errors import InputError
from geoseg.raster.opening.foreignxml import parse_xml


def test_xml_of_others_is_read_with_its_document_type() -> None:
    text = b"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
    <qgis version="3.22"><a b="1">x &amp; &#228;</a></qgis>"""
    assert parse_xml(text).findtext("a") == "x & ä"
    assert (
        parse_xml('<?xml version="1.0" encoding="latin-1"?><a>ä</a>'.encode("latin-1")).text == "ä"
    )


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://localhost/x.dtd"> %x;]><a/>',
        '<!DOCTYPE z [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><z>&b;</z>',
        "<a>" * 5000 + "</a>" * 5000,
        "<a>&unknown;</a>",
        "<a>",
        "",
        "<a/><b/>",
        "\x00\x01",
    ],
)
def test_xml_that_could_do_harm_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_xml(text.encode())
    assert "\n" not in str(caught.value)
