"""Devices of clusters in words, and how much of a scene's rows is held at a time."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.cluster.cluster import Cluster
from geoseg.errors import OptionError
from geoseg.inference import blocks as blocks_module
from geoseg.inference import engines as engines_module
from geoseg.inference.blocks import Block, Computed, by_cards
from geoseg.inference.classes import ClassRows
from geoseg.inference.engines import device_kind
from geoseg.inference.stream import Work

ELSEWHERE = cast(Cluster, SimpleNamespace(is_local=False))


@pytest.mark.parametrize(
    ("device", "kind"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:3", "cuda"), ("mps", "mps")]
)
def test_a_device_of_workers_need_not_be_here(device: str, kind: str) -> None:
    assert device_kind(ELSEWHERE, device) == kind


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("foo", "'foo' is no device; use auto, cpu, cuda"),
        ("cuda:x", "'cuda:x' is no device"),
        ("meta", "'meta' is no device"),
        ("cuda:0,1", "--device cuda:0,1: a worker of a cluster computes on one card; start a"),
    ],
)
def test_a_device_that_no_worker_can_have_is_one_line(device: str, says: str) -> None:
    with pytest.raises(OptionError) as told:
        device_kind(ELSEWHERE, device)
    assert str(told.value).startswith(says)
    assert "\n" not in str(told.value)


# -- rows of blocks ----------------------------------------------------------------------------


def class_rows(row: int, height: int, width: int, classes: int | None) -> ClassRows:
    rng = np.random.default_rng(height)
    return ClassRows(
        row,
        rng.integers(0, 9, (height, width), dtype=np.uint8),
        None if classes is None else rng.random((height, width), np.float32),
        None if not classes else rng.random((classes, height, width), np.float32),
    )


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 30),
    classes=st.one_of(st.none(), st.integers(0, 4)),
    most=st.integers(1, 3000),
)
def test_rows_of_a_block_come_some_at_a_time(
    height: int, width: int, classes: int | None, most: int
) -> None:
    whole = class_rows(7, height, width, classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines_module, "_PART_BYTES", most)
        parts = list(engines_module._in_parts(whole))
    row = 7
    for part in parts:
        assert part.row == row
        row += len(part.class_index)
        held = sum(values.nbytes for values in part[1:] if values is not None)
        assert held <= most or len(part.class_index) == 1
    assert row == 7 + height
    for name in ("class_index", "confidence", "probabilities"):
        values = [getattr(part, name) for part in parts]
        if getattr(whole, name) is None:
            assert values == [None] * len(parts)
        else:
            np.testing.assert_array_equal(np.concatenate(values, axis=-2), getattr(whole, name))


def test_rows_that_are_joined_are_those_that_came() -> None:
    came = [class_rows(4, 2, 3, None), class_rows(6, 1, 3, 2), class_rows(7, 3, 3, None)]
    found = blocks_module._joined(Block(4, 10), iter(came), 3, None, 1)
    assert found.row == 4
    np.testing.assert_array_equal(found.class_index, np.concatenate([one[1] for one in came]))
    assert found.confidence is not None
    assert found.probabilities is not None
    assert found.probabilities.shape == (2, 6, 3)
    np.testing.assert_array_equal(found.confidence[2:3], came[1].confidence)
    np.testing.assert_array_equal(found.probabilities[:, 2:3], came[1].probabilities)
    rest = [0, 1, 3, 4, 5]
    assert np.isnan(found.confidence[rest]).all()
    assert np.isnan(found.probabilities[:, rest]).all()
    nothing = blocks_module._joined(Block(4, 6), [came[0]], 3, None, 1)
    assert (nothing.confidence, nothing.probabilities) == (None, None)


class Slow:
    """Counts blocks that are computed while the first is waited for."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def compute(self, block: Block, _ensemble: Any, *, threads: int) -> Computed:
        assert threads == 1
        with self._lock:
            self.begun += 1
        if block.first == 0:
            self.go.wait(30)
        return Computed(class_rows(block.first, 1, 1, None), Work())


@pytest.mark.parametrize(("row_bytes", "ahead"), [(1, 4), (1 << 28, 4), (1 << 29, 3), (1 << 40, 3)])
def test_cards_are_not_far_ahead_where_blocks_are_large(row_bytes: int, ahead: int) -> None:
    cards = [SimpleNamespace(device=torch.device("cpu")) for _ in range(2)]
    work = Slow()
    found = by_cards(
        cast(Any, cards),
        cast(Any, work),
        [Block(k, k + 1) for k in range(9)],
        threads=2,
        row_bytes=row_bytes,
    )
    releasing = threading.Timer(0.3, work.go.set)
    releasing.start()
    assert next(found).rows.row == 0
    assert work.begun <= ahead
    assert [one.rows.row for one in found] == list(range(1, 9))
    releasing.join()
