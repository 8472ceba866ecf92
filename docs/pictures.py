"""Take the pictures of the documentation, in a real QGIS, of what ``geoseg demo`` makes.

geoseg demo FOLDER && python docs/pictures.py FOLDER

Needs Debian's packages qgis, python3-qgis and xvfb: QGIS wants a screen, if only a pretended one.
FOLDER should not lie in /tmp, where QGIS marks every layer as passing. The other half, which runs
inside QGIS, is `pictures_in_qgis`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import geoseg

HERE = Path(__file__).resolve().parent
NAMES = ("map", "qgis-errors", "qgis-labels", "qgis-map", "qgis-patches")


def main(folder: Path) -> None:
    """Take all pictures of a demo."""
    errors = folder / "errors.tif"
    geoseg.evaluate(folder / "map.tif", folder / "labels.tif", errors=errors, overwrite=True)
    with tempfile.TemporaryDirectory() as made:
        environment = {
            **{key: value for key, value in os.environ.items() if key != "QT_QPA_PLATFORM"},
            "GEOSEG_DEMO": str(folder.resolve()),
            "GEOSEG_PICTURES": made,
            "HOME": made,  # nobody's own settings of QGIS
            "XDG_RUNTIME_DIR": made,
        }
        command = ["xvfb-run", "-a", "-s", "-screen 0 1400x900x24", "qgis", "--nologo"]
        command += ["--noversioncheck", "--noplugins", "--profiles-path", made]
        command += ["--code", str(HERE / "pictures_in_qgis.py")]
        subprocess.run(command, env=environment, check=True, timeout=100)
        for name in NAMES:
            with Image.open(Path(made) / f"{name}.png") as picture:
                small = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
            small.save(HERE / "images" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    if shutil.which("qgis") is None or shutil.which("xvfb-run") is None:
        sys.exit("Error: pictures are taken in QGIS: install qgis, python3-qgis and xvfb")
    main(Path(sys.argv[1]))
