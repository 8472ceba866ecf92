"""What lets somebody in stands in no message, no summary and no file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from geoseg import cli
from geoseg.errors import GeosegError, on_one_line, without_secrets
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.raster.window import Window
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.damage import ODD_TEXTS
from geoseg.testing.webserver import WebServer, web_server

SECRETS = ("hunter2", "s1gn4ture", "AKIASECRETKEY", "wJalrSECRET", "t0ken")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIASECRETKEY",
    "AWS_SECRET_ACCESS_KEY": "wJalrSECRET",
    "AWS_SESSION_TOKEN": "t0ken",
    "GDAL_HTTP_MAX_RETRY": "0",
}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "served"
    folder.mkdir()
    with PlainWriter(
        folder / "a.tif", plain_grid(32, 32), band_names=["blue", "green"], dtype="uint8",
        nodata=None, block=(16, 16),
    ) as file:  # fmt: skip
        file.write(Window(0, 0, 32, 32), np.full((2, 32, 32), 7, np.uint8))
    pointwise_bundle([[1.0, -1.0], [0.5, 0.25]], path=tmp_path / "model.safetensors")
    with web_server(folder) as server:
        yield server


def signed(server: WebServer, name: str) -> str:
    return f"http://me:hunter2@127.0.0.1:{server.port}/{name}?sig=s1gn4ture&token=t0ken"


def test_names_in_a_file_do_not_steer_a_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    with PlainWriter(
        path, plain_grid(32, 32), band_names=["\x1b[2Jred", "\u202egnp"], dtype="uint8",
        nodata=None, block=(16, 16),
    ) as file:  # fmt: skip
        file.write(Window(0, 0, 32, 32), np.full((2, 32, 32), 7, np.uint8))
    for words in (["info"], ["info", "--json"]):
        with pytest.raises(SystemExit):
            cli.main([*words, str(path)])
        out, err = capfd.readouterr()
        assert "red" in out
        assert not any(c in out + err for c in "\x1b\u202e")
        if "--json" in words:
            assert json.loads(out)


def clean(text: str) -> None:
    assert not [secret for secret in SECRETS if secret in text], text


@pytest.mark.parametrize("name", ["a.tif", "gone.tif", "a.vrt"])
@pytest.mark.parametrize("words", [["info", "--json"], ["info"], ["check", "--json"]])
def test_no_summary_and_no_error_holds_a_secret(
    served: WebServer, name: str, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (served.folder / "a.vrt").write_text("<VRTDataset></VRTDataset>")
    with pytest.raises(SystemExit):
        cli.main([*words, "-v", signed(served, name)])
    out, err = capfd.readouterr()
    assert out or err
    clean(out + err)
    assert "Traceback" not in err


def test_no_output_holds_a_secret(
    served: WebServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "map.tif"
    out.parent.mkdir()
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["predict", signed(served, "a.tif"), "-o", str(out), "--json", "-v",
             "--model", str(tmp_path / "model.safetensors"), "--device", "cpu"]
        )  # fmt: skip
    said, err = capfd.readouterr()
    assert ended.value.code == 0, err
    clean(said + err)
    assert json.loads(said)
    for file in out.parent.rglob("*"):
        content = file.read_bytes()
        assert not [s for s in SECRETS if s.encode() in content], file


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@h/a.tif", "https://me:hun@ter2:hunter2@h/a.tif: gone",
        "https://h/a.tif?X-Amz-Signature=s1gn4ture&X-Amz-Security-Token=t0ken",
        "/vsicurl?url=https%3A%2F%2Fme%3Ahunter2%40h%2Fa.tif&list_dir=no",
        "/vsicurl/https://me:hunter2@h/a.tif?sig=s1gn4ture", "PG:host=h user=me password=hunter2",
        "zip+https://me:hunter2@h/a.zip!a.tif", "('https://h/a?sig=s1gn4ture', 'b')",
    ],
)  # fmt: skip
def test_secrets_in_any_form_of_address_are_left_out(text: str) -> None:
    clean(without_secrets(text))
    clean(str(GeosegError(f"cannot read {text} (refused); check it")))


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_messages_are_one_line_that_does_nothing_to_a_terminal(text: str) -> None:
    said = str(GeosegError(f"the class {text} is none"))
    assert said.isprintable() or not any(c in said for c in "\n\r\x1b\x00\u202e\u2028")
    assert len(said) < 2100
    assert said == on_one_line(said)
    said.encode("utf-8")
