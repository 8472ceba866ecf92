"""Curves for TensorBoard, read back by TensorBoard's own reader."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import OptionError, OutputError
from geoseg.training.records import EpochRecord
from geoseg.training.report.board import Board, check_tensorboard

installed = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)
RECORD = EpochRecord(
    epoch=1,
    rate=0.001,
    train_loss=1.5,
    train_accuracy=0.5,
    train_miou=0.25,
    val_loss=1.25,
    val_accuracy=0.75,
    val_miou=math.nan,
    seconds=3.0,
)


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415
        EventAccumulator,
    )

    reader: Any = EventAccumulator(str(folder))
    reader.Reload()
    return {
        tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]
    }


@installed
def test_every_finite_number_of_an_epoch_is_a_point(tmp_path: Path) -> None:
    board = Board(tmp_path / "deep" / "run")
    board.add(RECORD)
    board.add(replace(RECORD, epoch=2, val_miou=0.5))
    board.close()
    found = points(tmp_path / "deep" / "run")
    assert found["loss/train"] == [(1, 1.5), (2, 1.5)]
    assert found["loss/val"] == [(1, 1.25), (2, 1.25)]
    assert found["accuracy/train"][0] == (1, 0.5)
    assert found["accuracy/val"][0] == (1, 0.75)
    assert found["miou/train"][0] == (1, 0.25)
    assert found["miou/val"] == [(2, 0.5)]
    assert found["learning_rate"][0][1] == pytest.approx(0.001)


@installed
def test_points_are_seen_while_the_run_lasts(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.add(RECORD)
    assert points(tmp_path)["loss/train"] == [(1, 1.5)]
    board.close()


@installed
def test_a_run_that_goes_on_replaces_what_it_does_again(tmp_path: Path) -> None:
    first = Board(tmp_path)
    for epoch in (1, 2, 3):
        first.add(replace(RECORD, epoch=epoch))
    first.close()
    # Files are read in the order of their names, which hold the second they were made in.
    (made,) = tmp_path.iterdir()
    made.rename(tmp_path / made.name.replace("tfevents.", "tfevents.0"))
    second = Board(tmp_path)
    for epoch in (2, 3):
        second.add(replace(RECORD, epoch=epoch, train_loss=9.0))
    second.close()
    assert points(tmp_path)["loss/train"] == [(1, 1.5), (2, 9.0), (3, 9.0)]


@installed
def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file") as caught:
        Board(tmp_path / "file" / "run")
    assert "\n" not in str(caught.value)


def test_without_tensorboard_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(OptionError, match=r"^--tensorboard .* pip install tensorboard$"):
        check_tensorboard()
