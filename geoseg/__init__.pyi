from geoseg import errors as errors
from geoseg.api.arrays import predict_array as predict_array
from geoseg.api.composites import composite as composite
from geoseg.api.composites import composite_earth_engine as composite_earth_engine
from geoseg.api.evaluating import evaluate as evaluate
from geoseg.api.exporting import export as export
from geoseg.api.labels import check as check
from geoseg.api.labels import recode as recode
from geoseg.api.learning import compare as compare
from geoseg.api.learning import load_model as load_model
from geoseg.api.learning import open_patches as open_patches
from geoseg.api.learning import tile as tile
from geoseg.api.learning import train as train
from geoseg.api.maps import cam as cam
from geoseg.api.maps import predict as predict
from geoseg.api.measures import coverage as coverage
from geoseg.api.measures import vectorise as vectorise
from geoseg.api.recipes import run as run
from geoseg.api.scenes import homogenise as homogenise
from geoseg.api.scenes import info as info
from geoseg.api.scenes import open_scene as open_scene
from geoseg.api.scenes import pansharpen as pansharpen
from geoseg.api.scenes import rasterise as rasterise

__version__: str
