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
    └── OutputError             the result cannot be written where it should go

Everything that geoseg raises for a cause outside its own code derives from `GeosegError`; the
command line prints its message as one line and exits with `exit_code`. No code decides by a
message's text.
"""


class GeosegError(Exception):
    """Root of geoseg's exceptions; its message is one line for the user."""

    exit_code: int = 1


class OptionError(GeosegError):
    """Options that contradict each other, or a value without meaning."""

    exit_code = 2


class InputError(GeosegError):
    """Something given cannot be used."""


class RasterReadError(InputError):
    """A raster is missing, is not a raster, or is truncated."""


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


class OutputError(GeosegError):
    """The result cannot be written where it should go."""
