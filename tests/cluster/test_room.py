"""Large results wait at their workers until their turn; as many are under way as ever."""

from __future__ import annotations

from collections.abc import Iterator

import cluster_tasks as work
import pytest

from geoseg.cluster import cluster as cluster_module
from geoseg.cluster.asking import Asking
from geoseg.cluster.cluster import Cluster


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many results were here, each time one was taken in."""
    found: list[int] = []
    take = Asking._take

    def counted(self, one):
        take(self, one)
        found.append(sum(asked.future is None for asked in self._asked))

    monkeypatch.setattr(Asking, "_take", counted)
    monkeypatch.setattr(cluster_module, "WAITING_BYTES", 1000)
    return found


def asked(items: int, seen: list[int]) -> Iterator[int]:
    for item in range(items):
        seen.append(item)
        yield item


@pytest.mark.parametrize(
    ("result_bytes", "here", "ahead"),
    [(0, 4, 4), (1, 4, 4), (333, 3, 3), (400, 2, 3), (501, 1, 3), (1 << 40, 1, 3)],
)
def test_results_that_wait_here_are_bounded_by_their_size(
    cluster: Cluster, held: list[int], result_bytes: int, here: int, ahead: int
) -> None:
    assert cluster.slots == 2
    seen: list[int] = []
    found = cluster.ordered(work.slower_at_first, None, asked(14, seen), result_bytes=result_bytes)
    # The first item is long under way when others are through.
    assert next(found)[0] == 0
    assert len(seen) == ahead
    assert max(held) <= here
    if here > 2:
        assert max(held) > 1
    assert [item for item, _ in found] == list(range(1, 14))
    assert max(held) <= here
    assert seen == list(range(14))
