"""The table of tiles: what it says of maps that can be counted by hand, and of a scene."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from geoseg.testing.scenes import made_scene

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
import strides


def test_pixels_without_a_class_in_either_map_are_not_compared():
    one = np.array([1, 1, 2, 255, 3], np.uint8)
    other = np.array([1, 2, 2, 1, 255], np.uint8)
    assert strides.others(one, other) == pytest.approx(1 / 3)


def test_a_row_is_the_mean_of_models_with_the_deviation_of_their_differences():
    same = {"seen": 4.0, "accuracy": 0.9, "other_mean": 0.01, "other_hann": 0.02,
            "seams": 1.25, "own": 1.0}  # fmt: skip
    found = [same | {"miou": 0.5, "ahead": 0.01}, same | {"miou": 0.7, "ahead": 0.03}]
    way = strides.Way(tile=288, stride=144, blend="hann")
    assert strides.row(way, "0.50", found) == (
        "| 288 | 0.50 | 144 | hann | 4.0 | 0.6000 | +0.0200 ± 0.0141 | 0.9000 | 1.00% | 2.00% |"
        " 1.25 (1.00) |"
    )
    assert "| +0.0100 |" in strides.row(way, "0.50", found[:1])


def test_the_densest_map_differs_in_nothing_from_itself(tmp_path, monkeypatch, capsys):
    scene, labels = tmp_path / "scene.tif", tmp_path / "labels.tif"
    made_scene(scene, height=64, width=64, labels=labels, nodata_share=0, workers=1)
    words = [scene, labels, "--tiles", 32, "--overlaps", 0, "--work", tmp_path / "work"]
    monkeypatch.setattr(sys, "argv", ["strides.py", *map(str, words), "--workers", "1"])
    strides.main()
    first = capsys.readouterr().out
    rows = {tuple(line.split(" | ")[1:4]): line for line in first.splitlines()[2:]}
    assert list(rows) == [("0.00", "32", "hann")] + [("papers'", "6", b) for b in strides.BLENDS]
    # 0, 32 along both sides; 0, 6, …, 30 and 32: 4 and 49 tiles of 1,024 px.
    assert rows["0.00", "32", "hann"].split(" | ")[4] == "1.0"
    assert rows["papers'", "6", "mean"].split(" | ")[4] == "12.2"
    assert rows["papers'", "6", "mean"].split(" | ")[6::2][:2] == ["+0.0000", "0.00%"]
    assert rows["papers'", "6", "hann"].split(" | ")[9] == "0.00%"
    assert rows["papers'", "6", "hann"].split(" | ")[8] != "0.00%"
    strides.main()
    assert capsys.readouterr().out == first
