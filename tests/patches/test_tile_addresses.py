"""Scenes at signed addresses: no secret is written, and a new signature is no new scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from geoseg.patches.assembling import Assembly
from geoseg.patches.tile import tile
from geoseg.raster.opening.handles import is_remote
from geoseg.raster.outputs import unfinished
from geoseg.raster.outputs.kept import kept_folder_of
from geoseg.raster.outputs.unfinished import LeftoverError
from geoseg.testing.webserver import WebServer, web_server

SECRETS = (b"hidden-password", b"first-signature", b"second-signature", b"somebody")


@pytest.fixture
def served(
    write_raster: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WebServer]:
    """Serve a scene, its labels and how sure they are."""
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)
    rng = np.random.default_rng(8)
    write_raster("served/a.tif", rng.integers(1, 200, (2, 80, 40), np.uint16), nodata=0)
    write_raster("served/a_ids.tif", rng.integers(1, 3, (80, 40)).astype(np.uint8))
    write_raster("served/a_sure.tif", rng.random((80, 40)).astype(np.float32))
    with web_server(tmp_path / "served") as server:
        yield server


def address(server: WebServer, name: str, signature: str) -> str:
    plain = server.url(f"{name}?X-Amz-Signature={signature}")
    signed = plain.replace("//", "//somebody:hidden-password@")
    assert is_remote(signed)
    return signed


def make(server: WebServer, out: Path, signature: str, **more: bool) -> None:
    tile(
        [address(server, "a.tif", signature)],
        out,
        labels=[address(server, "a_ids.tif", signature)],
        confidence=[address(server, "a_sure.tif", signature)],
        classes="1=water,2=forest",
        size=16,
        workers=1,
        **more,
    )


def stop(server: WebServer, out: Path) -> None:
    left, finished = [3], Assembly.row_finished

    def counted(self: Assembly, patches: range, read_to: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        finished(self, patches, read_to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Assembly, "row_finished", counted)
        with pytest.raises(KeyboardInterrupt):
            make(server, out, "first-signature", keep=True)


def secrets_in(folder: Path) -> list[tuple[str, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [(p.name, one) for p in files for one in SECRETS if one in p.read_bytes()]


def test_nothing_secret_is_kept_and_a_new_signature_goes_on(
    served: WebServer, tmp_path: Path
) -> None:
    out = tmp_path / "made" / "set"
    out.parent.mkdir()
    stop(served, out)
    assert secrets_in(kept_folder_of(out)) == []
    assert served.url("a_ids.tif") in (kept_folder_of(out) / "plan.json").read_text()
    make(served, out, "second-signature", resume=True)
    assert secrets_in(out) == []
    whole = tmp_path / "made" / "whole"
    make(served, whole, "first-signature")
    for path in whole.rglob("*.npy"):
        assert (out / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_other_pixels_at_the_same_address_are_refused(
    served: WebServer, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    stop(served, tmp_path / "set")
    ids = np.random.default_rng(9).integers(1, 3, (80, 40)).astype(np.uint8)
    write_raster("served/a_ids.tif", ids)
    with pytest.raises(LeftoverError, match="files of the labels are not the same"):
        make(served, tmp_path / "set", "second-signature", resume=True)
