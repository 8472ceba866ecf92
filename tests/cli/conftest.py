"""Commands as they are typed, and a storage of objects that they may write to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geoseg.cli import _run
from geoseg.testing.objectserver import object_server


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return its status, and what it wrote to both streams."""

    def run(*words: str) -> tuple[int, str, str]:
        status = _run(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return run


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """The environment by which ``s3://maps`` is found."""
    with object_server("maps") as environment:
        yield environment


@pytest.fixture
def storage(store: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``s3://maps``; what goes there is made in ``made`` before."""
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    (tmp_path / "made").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "made"))
