"""What can go wrong, as one tree.

::

    GeosegError                 one line for the user: what is wrong, where, what to do
    ├── OptionError             options that contradict each other or mean nothing (status 2)
    ├── InputError              something given cannot be used
    │   ├── RasterReadError     not there, not a raster, truncated
    │   ├── BandError           a band is missing, or there are too many to know which
    │   ├── GridError           two things do not lie on each other
    │   ├── LabelError          labels or class lists that make no sense
    │   ├── VectorError         polygons that cannot be read or used
    │   ├── DatasetError        a folder of patches that is no (whole) data set
    │   ├── ModelError          a model file that is none, or does not fit the scene
    │   ├── ColourError         a colour to bring images to that is none, or cannot be found
    │   ├── EarthEngineError    a server that cannot be reached, or refuses or fails what is asked
    │   └── RecipeError         a recipe that cannot be followed
    ├── ClusterError            workers that cannot be reached, are gone, or are of another release
    ├── DeviceError             a card that failed or is gone while it computed
    └── OutputError             the result cannot be written where it should go

Everything that geoseg raises for a cause outside its own code derives from `GeosegError`; the
command line prints its message as one line and exits with `exit_code`. No code decides by a
message's text.
"""

import re

# A password may hold an "@" itself: what counts is the last one before the path.
_ADDRESS = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/\"']*@)?([^\s?\"']*)")
# What follows a question mark is a query if it holds a "="; in a pattern it is any character.
# Names of files before it may have spaces.
_QUERY = re.compile(r"(://(?:(?!://)[^?\"'])*)\?[^\s?\"']*=[^\s\"']*?(?=[:;,.)]*(?:[\s\"']|$))")
# What GDAL is told behind such a name may be an address, encoded, that is signed.
_VSI = re.compile(r"(/vsi[a-z0-9_]+)\?[^\s\"']+")
_GIVEN = re.compile(r"(?i)\b(passw(?:or)?d|pwd)=(?!\(hidden\))[^\s&\"']+")
_LINE_ENDS = re.compile("[\\t\\n\\v\\f\\r\\x85\\u2028\\u2029]")
# What steers a terminal, and marks that turn the direction of what follows: names hide their ends.
_STEERING = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
_LONGEST = 2000


def without_secrets(text: str) -> str:
    """Leave out user, password and query of the addresses in a text: they may be signed."""
    if "/vsi" in text:
        text = _VSI.sub(r"\1?(address)", text)
    if "=" in text:
        text = _GIVEN.sub(r"\1=(hidden)", text)
    if "://" not in text:
        return text
    return _ADDRESS.sub(r"\1\2", _QUERY.sub(r"\1", text))


def on_one_line(text: str) -> str:
    """Return a text as one line that a terminal shows as it is, the middle left out if very long.

    Files name classes, bands and other files as they like; what ends a line becomes a space, and
    what would steer a terminal or turn the direction of writing is spelt out.
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return harmless(_LINE_ENDS.sub(" ", text))


def harmless(text: str) -> str:
    """Spell out what would steer a terminal or turn the direction of writing; as JSON does."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class GeosegError(Exception):
    """Root of geoseg's exceptions; its message is one line for the user, without secrets."""

    exit_code: int = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(on_one_line(without_secrets(str(message))))


class OptionError(GeosegError):
    """Options that contradict each other, or a value without meaning."""

    exit_code = 2


class InputError(GeosegError):
    """Something given cannot be used."""


class RasterReadError(InputError):
    """A raster is missing, is not a raster, or is truncated."""

    damaged: str = ""
    """The file of which a part could not be read; empty where none could be opened at all."""
    changed: bool = False
    """Whether that file was written while it was read."""


class BandError(InputError):
    """A band is missing, or bands cannot be told apart."""


class GridError(InputError):
    """Two things do not lie on each other, or a place on Earth is needed and there is none."""


class LabelError(InputError):
    """Labels or a class list that make no sense."""


class VectorError(InputError):
    """Polygons that cannot be read or used."""


class DatasetError(InputError):
    """A folder of patches that is not a (whole) data set."""


class ModelError(InputError):
    """A model file that is none, is damaged, or does not fit the scene."""


class ColourError(InputError):
    """A colour to bring images to that is none, or that cannot be found."""


class EarthEngineError(InputError):
    """Earth Engine cannot be reached, knows nobody, or refuses or fails what is asked of it."""


class RecipeError(InputError):
    """A recipe that cannot be followed."""


class ClusterError(GeosegError):
    """Workers cannot be reached, are gone, or are of another release."""


class DeviceError(GeosegError):
    """A card failed or is gone while it computed."""


class OutputError(GeosegError):
    """The result cannot be written where it should go."""
