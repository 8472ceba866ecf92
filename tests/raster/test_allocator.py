"""What the C library does with freed memory, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")

BLOCK = 48 << 20
"""More than what glibc by itself ever learns to keep, 32 MiB."""

PROGRAM = """
import json, resource
import numpy as np
from geoseg.raster.allocator import give_back, keep_large_blocks

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1])

understood = {keep} and keep_large_blocks()
np.ones({block}, np.uint8)
before = faults()
for _ in range(8):
    np.ones({block}, np.uint8)
pages = faults() - before
held = resident()
give_back()
print(json.dumps([bool(understood), pages, (held - resident()) * resource.getpagesize()]))
"""


def run(keep):
    program = PROGRAM.replace("{keep}", str(keep)).replace("{block}", str(BLOCK))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_freed_blocks_are_used_again_and_given_back_when_asked():
    understood, faults, given = run(keep=True)
    if not understood:
        pytest.skip("another C library")
    _, usual, _ = run(keep=False)
    assert faults < usual / 8
    assert given > BLOCK // 2
