"""One command of geoseg, timed in its process without the imports, as its peers are timed.

    python benchmarks/timed.py torch,geoseg.inference.predict predict scene.tif -o map.tif

The last line of its output is a JSON object with the seconds.
"""

from __future__ import annotations

import importlib
import json
import sys
import time


def main() -> None:
    for name in sys.argv[1].split(","):
        importlib.import_module(name)
    from geoseg.cli import _run  # noqa: PLC0415 — after what the command would import itself

    began = time.perf_counter()
    failed = _run(sys.argv[2:])
    seconds = time.perf_counter() - began
    if failed:
        raise SystemExit(failed)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
