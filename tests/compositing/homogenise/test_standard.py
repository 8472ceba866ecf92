"""The colour as a value and as JSON."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from geoseg.compositing.homogenise.standard import (
    SHARE_PARTS,
    SHARES,
    BandTarget,
    Dodge,
    ImageLine,
    Standard,
    read_standard,
)
from geoseg.errors import BandError, ColourError

WHOLE = Standard(
    method="overlap",
    bands=tuple(
        BandTarget(name=name, mean=n + 0.1, deviation=1 / 3, quantiles=tuple(n + s for s in SHARES))
        for n, name in enumerate(("Blue", "green", "red"))
    ),
    reference="zion.tif",
    haze="dark-object",
    cast="grey-world",
    dodge=Dodge(cell=256, brightness=0.8, contrast=0.7),
    images=(
        ImageLine(name="a", fingerprint="f1", gains=(1.0, 2.0, 3.0), offsets=(0.5, 0.25, 0.125)),
    ),
)


def test_shares_rise_from_0_to_1_and_are_the_same_from_both_ends() -> None:
    assert (SHARES[0], SHARES[-1]) == (0, 1)
    assert sorted(set(SHARE_PARTS)) == list(SHARE_PARTS)
    assert [65536 - n for n in reversed(SHARE_PARTS)] == list(SHARE_PARTS)
    assert {n / 256 for n in range(257)} <= set(SHARES)


def test_json_holds_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "colour.json"
    path.write_text(json.dumps(WHOLE.to_json()))
    assert read_standard(path) == WHOLE
    plain = Standard(method="moments", bands=WHOLE.bands)
    assert Standard.from_json(plain.to_json(), source="x") == plain


def test_choosing_bands_keeps_lines_and_the_digest_of_the_whole(tmp_path: Path) -> None:
    some = WHOLE.select(["RED", "blue"])
    assert some.names == ("red", "Blue")
    line = some.line("f1")
    assert line is not None
    assert (line.gains, line.offsets) == ((3, 1), (0.125, 0.5))
    assert some.digest == WHOLE.digest == some.renamed(["a", "b"]).digest
    again = Standard.from_json(some.to_json(), source="x")
    assert (again, again.digest) == (some, WHOLE.digest)
    assert WHOLE.select(WHOLE.names) is WHOLE
    assert WHOLE.line("f2") is None


def test_a_band_that_is_not_there_is_named_with_those_there_are() -> None:
    with pytest.raises(BandError, match=r"no band “nir”; there are: Blue, green, red"):
        WHOLE.select(["nir"])


def test_digests_differ_where_anything_does() -> None:
    other = Standard(method="moments", bands=WHOLE.bands)
    assert other.digest != Standard(method="histogram", bands=WHOLE.bands).digest


def changes() -> dict[str, Any]:
    return {
        "format": lambda j: j.update(format="geoseg-patches"),
        "version": lambda j: j.update(version=2),
        "no bands": lambda j: j.update(bands=[]),
        "a band twice": lambda j: j["bands"].append(j["bands"][0]),
        "method": lambda j: j.update(method="magic"),
        "haze": lambda j: j.update(haze="gone"),
        "quantiles too few": lambda j: j["bands"][0]["quantiles"].pop(),
        "quantiles that fall": lambda j: j["bands"][0]["quantiles"].reverse(),
        "a quantile that is no number": lambda j: j["bands"][0]["quantiles"].__setitem__(0, None),
        "infinity": lambda j: j["bands"][0].update(mean=float("inf")),
        "a number too long": lambda j: j["bands"][0].update(mean=10**400),
        "a deviation below 0": lambda j: j["bands"][1].update(deviation=-1),
        "a gain of 0": lambda j: j["images"][0].update(gains=[1, 0, 1]),
        "two gains": lambda j: j["images"][0].update(gains=[1, 1]),
        "an image that is text": lambda j: j.update(images=["a"]),
        "bands that are none": lambda j: j.pop("bands"),
        "half a cell": lambda j: j["dodge"].update(cell=9.5),
        "a tiny cell": lambda j: j["dodge"].update(cell=1),
        "no contrast": lambda j: j["dodge"].update(contrast=0),
    }


@pytest.mark.parametrize("what", changes())
def test_what_makes_no_sense_is_refused_in_a_line(what: str) -> None:
    obj = copy.deepcopy(WHOLE.to_json())
    changes()[what](obj)
    with pytest.raises(ColourError) as caught:
        Standard.from_json(obj, source="colour.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"3", b"[" * 100_000])
def test_files_that_are_something_else_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "colour.json"
    path.write_bytes(content)
    with pytest.raises(ColourError, match=r"colour\.json"):
        read_standard(path)
    with pytest.raises(ColourError, match=r"none\.json: cannot be read"):
        read_standard(tmp_path / "none.json")
