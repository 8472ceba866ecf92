"""XML that may come from anywhere, read without harm."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.parsers import expat

from geoseg.errors import InputError

_MAX_DEPTH = 200


def parse_xml(data: bytes) -> ET.Element:
    """Read XML that may come from anywhere: nothing outside is fetched, no entity is expanded.

    Raises
    ------
    InputError
        Not well-formed, declares entities (which can blow up to any size), or nested beyond reason.
    """
    parser = expat.ParserCreate()
    builder = ET.TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise InputError(f"XML nested more than {_MAX_DEPTH} deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse_entity(*_: object) -> int:
        raise InputError("XML that declares entities is not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse_entity
    parser.ExternalEntityRefHandler = refuse_entity
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputError(f"not well-formed XML: {error}") from None
    except (LookupError, ValueError) as error:  # an encoding that expat or Python does not know
        raise InputError(f"XML that cannot be read ({error}): save it as UTF-8") from None
    return builder.close()
