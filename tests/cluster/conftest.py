"""A cluster for many tests, and one that can be broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from geoseg.cluster.cluster import Cluster

# Workers import the tests' tasks by their name.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of two threads each."""
    with Cluster.open("local", workers=4) as opened:
        yield opened
