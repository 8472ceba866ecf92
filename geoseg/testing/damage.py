"""Good files made bad: what somebody careless, or malicious, could hand over.

Everything follows from the generator that is given, so that a case can be made again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

ODD_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "two\nlines",
    "\r\n",
    "\x1b[31mred\x1b[0m",
    "\ufeffmark",
    "\u202egnp.exe",
    "\u2028line",
    "\ud800",
    "🌲🛰️",
    "é" * 300,
    "x" * 70_000,
    "<b>&amp;\"'</b>",
    "]]>--><!DOCTYPE x>",
    "=cmd|' /C calc'!A1",
    "$\\frac{1}{0}$",
    "{name}",
    "%s%n{0!r}",
    "../../../../etc/hostname",
    "/etc/hostname",
    "//server/share/file.tif",
    "C:\\Windows\\win.ini",
    "file:///etc/hostname",
    "/vsicurl/http://127.0.0.1:9/x.tif",
    "/vsimem/x.tif",
    "http://127.0.0.1:9/x.json",
    "http://[",
    "<VRTDataset rasterXSize='1' rasterYSize='1'/>",
    "~root",
    "CON",
    "nan",
    "1e999",
    "-1",
    "0x10",
    "9" * 5000,
)
"""Texts that somebody's code has tripped over."""

ODD_NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 255, 256, 65_536, 2**31, 2**32 - 1, 2**53 + 1, 2**63, 2**64, -(2**63), 10**400),
    *(0.5, -0.0, 1e-320, 1e300, 1.8e308, -1e308, float("nan"), float("inf"), float("-inf")),
)
"""Numbers likewise."""

ODD_VALUES: tuple[Any, ...] = (
    *ODD_TEXTS,
    *ODD_NUMBERS,
    *(None, True, False, [], {}, [[]], [None], {"": None}, [0] * 300, {"a": {"b": []}}),
)
"""Anything that JSON can hold, and some that it should not."""

_TOKENS = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\n", b'"', b"'", b"\\", b"{", b"}"),
    *(
        b"[",
        b"]",
        b",",
        b":",
        b"=",
        b"<",
        b">",
        b"&x;",
        b"NaN",
        b"Infinity",
        b"1e999",
        b"-",
        b"../",
    ),
    *(b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x80\x04", b"PK\x03\x04", b"9" * 5000, b"[" * 20_000),
    *(b'{"a":' * 3000, b"<a>" * 500, b"\x00\x00\x00\x80"),
)


def damaged_bytes(good: bytes, rng: Random) -> bytes:
    """Return bytes with one to four things wrong: cut, flipped, spliced, filled with odd ones."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(7)
        at = rng.randrange(len(data) + 1)
        length = min(rng.choice((1, 2, 4, 8, 64, 1024)), len(data) - at)
        if kind == 0:
            del data[at:]
        elif kind == 1 and length:
            for place in range(at, at + length):
                data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.choice(_TOKENS)
        elif kind == 4:
            token = rng.choice(_TOKENS)
            data[at : at + len(token)] = token
        elif kind == 5:
            source = rng.randrange(len(data) + 1)
            data[at:at] = data[source : source + length]
        else:
            data[at : at + length] = rng.randbytes(length)
    return bytes(data)


def damaged_value(good: Any, rng: Random) -> Any:
    """Return plain JSON with one to three entries replaced, left out, renamed or put deeper."""
    whole = {"": copy.deepcopy(good)}
    for _ in range(rng.randint(1, 3)):
        places = list(_places(whole))
        holder, key = rng.choice(places)
        kind = rng.randrange(8)
        if kind <= 3:
            holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))
        elif kind == 4 and holder is not whole:
            del holder[key]
        elif kind == 5 and isinstance(holder, dict) and holder is not whole:
            holder[rng.choice(ODD_TEXTS)] = holder.pop(key)
        elif kind == 6:
            holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
        else:
            other, at = rng.choice(places)
            holder[key] = copy.deepcopy(other[at]) if at in _keys(other) else None
    return whole[""]


def damaged_json(good: Any, rng: Random) -> bytes:
    """Return JSON text of a damaged value, which now and then is damaged as a text as well."""
    text = json.dumps(damaged_value(good, rng), ensure_ascii=rng.random() < 0.5)
    data = text.encode("utf-8", "surrogatepass")
    kind = rng.randrange(12)
    if kind == 0:
        return damaged_bytes(data, rng)
    if kind == 1:
        return b"\xef\xbb\xbf" + data
    if kind == 2:
        return b"[" * 50_000 + data
    if kind == 3 and data.startswith(b"{") and len(data) > 2:
        key = json.dumps(rng.choice(list(good)) if isinstance(good, dict) else "a")
        odd = json.dumps(rng.choice(ODD_VALUES))
        return data[:-1] + f", {key}: {odd}}}".encode()
    if kind == 4:
        return data + b"9" * 5000
    return data


def _keys(holder: Any) -> list[Any]:
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Every entry of a tree, as what holds it and its key."""
    for key in _keys(holder):
        yield holder, key
        if isinstance(holder[key], (dict, list)):
            yield from _places(holder[key])
