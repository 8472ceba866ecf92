"""The band of a composite that counts clear dates: of use to people, and no reading."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.patches.gathered import Say
from geoseg.raster.provenance import read_provenance
from geoseg.raster.scene import Scene

COUNTS = "clear"
"""Name of the band, as `geoseg composite` writes it."""
_MAKERS = "geoseg composite"
_COMMAND = "GEOSEG_COMMAND"


def without_counts(scenes: Sequence[Scene], say: Say) -> list[Scene]:
    """Leave the count band out of scenes that are composites of geoseg, and say so once.

    A band of that name in a file that geoseg did not make is a reading like others.

    Parameters
    ----------
    scenes
        Scenes of which no bands were chosen.
    say
        Told what a person should know.
    """
    found = [scene if not _counts(scene) else _without(scene) for scene in scenes]
    left = [new.name for new, old in zip(found, scenes, strict=True) if new is not old]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        say(f"band '{COUNTS}' of {left[0]}{more} counts dates and is left out; --bands takes it in")
    return found


def _counts(scene: Scene) -> bool:
    return (
        len(scene.band_names) > 1
        and COUNTS in scene.band_names
        and any(read_provenance(path).get(_COMMAND, "").startswith(_MAKERS) for path in scene.paths)
    )


def _without(scene: Scene) -> Scene:
    return scene.select([name for name in scene.band_names if name != COUNTS])
