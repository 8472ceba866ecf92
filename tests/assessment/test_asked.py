from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geoseg.assessment.asked import Asked
from geoseg.assessment.evaluating import Job, Reports
from geoseg.assessment.folders import FolderJob
from geoseg.errors import OptionError

Write = Callable[..., Path]


def asked(**more: Any) -> Asked:
    return Asked(reports=Reports(), **more)


def test_settings_are_what_is_not_the_default() -> None:
    assert asked().settings == {"unpredicted": "ignore"}
    got = asked(bootstrap=20, seed=3, stages="agde", target=("a",), cell="8px", ignore=(0,))
    assert got.settings == {
        "ignore": [0],
        "unpredicted": "ignore",
        "bootstrap": 20,
        "block": "64px",
        "seed": 3,
        "stages": "agde",
        "target": ["a"],
        "cell": "8px",
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"unpredicted": "maybe"}, "ignore or wrong"),
        ({"cell": "8px"}, "go with --stages"),
        ({"stages": "agde", "cell": "8px"}, "needs --target"),
    ],
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        asked(**more)


@pytest.mark.parametrize("option", ["block", "boundary", "cell"])
def test_length_that_is_none_is_told_with_its_option(option: str) -> None:
    more = {"stages": "agde", "target": ("a",)} if option == "cell" else {}
    with pytest.raises(OptionError, match=rf"--{option} '3mm' is no length above 0"):
        _ = asked(**{option: "3mm"}, **more).wanted


def test_job_is_of_one_map_or_of_many(write: Write, tmp_path: Path) -> None:
    for folder in ("maps", "labels"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            write(tmp_path / folder / f"{name}.tif", [[1, 2]])
    folders = [str(tmp_path / "maps"), str(tmp_path / "labels")]
    with asked().job([f"{folder}/a.tif" for folder in folders], workers=1) as (job, notes):
        assert isinstance(job, Job)
        assert notes == (
            "neither raster names its classes: the values found in them are taken as classes",
        )
    with asked(classes="1=a,2=b").job(folders, workers=1) as (job, _):
        assert isinstance(job, FolderJob)
        assert job.stems == ("a", "b")
    with pytest.raises(OptionError, match="last, the labels"), asked().job(folders[:1], workers=1):
        pass
