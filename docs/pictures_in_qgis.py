"""Run by ``qgis --code``: opens what ``geoseg demo`` made, as by drag and drop, and takes pictures.

`pictures.py` starts it, and says where files are by the environment.
"""

import os

from qgis.core import (
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPalLayerSettings,
    QgsProject,
    QgsRectangle,
    QgsTextFormat,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtCore import QRect, QSize, Qt, QTimer, QVariant
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

DEMO = os.environ["GEOSEG_DEMO"]
PICTURES = os.environ["GEOSEG_PICTURES"]
WIDTH, HEIGHT = 1120, 720
QUIET = 4000  # ms in which QGIS draws


def raster(name):
    """Open a raster; what lies beside it says how it is drawn."""
    return iface.addRasterLayer(os.path.join(DEMO, name), name[:-4])


def vector(path, name):
    """Open a vector layer."""
    return iface.addVectorLayer(os.path.join(DEMO, path), name, "ogr")


def window(name):
    """Save what the window shows."""
    iface.mainWindow().grab().save(os.path.join(PICTURES, f"{name}.png"))


def drawn(layer, extent, width):
    """Draw a layer as QGIS does."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(extent)
    settings.setBackgroundColor(QColor("white"))
    settings.setOutputSize(QSize(width, round(width * extent.height() / extent.width())))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


def a_place(scene):
    """Return coordinates near the river."""
    extent = scene.extent()
    return extent.xMinimum() + 0.52 * extent.width(), extent.yMinimum() + 0.33 * extent.height()


def around(x, y):
    """Return some kilometres around a place."""
    return QgsRectangle(x - 3800, y - 2200, x + 3800, y + 2600)


def scene_beside_map():
    """Draw the scene, the map, and the names of its classes."""
    scene, found = raster("scene.tif"), raster("map.tif")
    extent = QgsRectangle(scene.extent())
    extent.setYMinimum(extent.yMinimum() + 0.12 * extent.height())
    extent.setYMaximum(extent.yMaximum() - 0.22 * extent.height())
    left, right = (drawn(layer, extent, 460) for layer in (scene, found))
    picture = QImage(460 * 2 + 20 + 160, left.height(), QImage.Format_RGB32)
    picture.fill(Qt.white)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.Antialiasing)
    painter.drawImage(0, 0, left)
    painter.drawImage(480, 0, right)
    painter.setFont(QFont("DejaVu Sans", 12))
    for place, entry in enumerate(found.renderer().legendSymbologyItems()):
        top = 40 + 34 * place
        painter.fillRect(QRect(964, top, 24, 18), entry[1])
        painter.drawText(998, top + 15, entry[0])
    painter.end()
    picture.save(os.path.join(PICTURES, "map.png"))


def map_over_scene():
    """Show what is there after dragging two files in."""
    raster("scene.tif")
    raster("map.tif")
    iface.mapCanvas().zoomToFullExtent()


def patches_over_scene():
    """Show the index of patches."""
    raster("scene.tif")
    vector("patches/index.gpkg", "patches/index")
    iface.mapCanvas().zoomToFullExtent()


def labels_being_drawn():
    """Show polygons of classes while they are edited."""
    scene = raster("scene.tif")
    layer = QgsVectorLayer(f"Polygon?crs={scene.crs().authid()}", "plots", "memory")
    layer.dataProvider().addAttributes([QgsField("class", QVariant.String)])
    layer.updateFields()
    x, y = a_place(scene)
    shapes = {  # metres from (x, y)
        "water": [
            (-2450, 2900),
            (-1949, 2743),
            (-1485, 2761),
            (-1021, 2891),
            (-1392, 2650),
            (-1949, 2613),
            (-2394, 2771),
        ],
        "barren": [(297, 2900), (947, 2900), (974, 2511), (464, 2464)],
        "forest": [(1114, -227), (2506, -134), (2784, -784), (1763, -1155), (835, -784)],
        "shrub": [(-2134, -1340), (-1021, -969), (-650, -1526), (-1763, -2083)],
    }
    for name, corners in shapes.items():
        feature = QgsFeature(layer.fields())
        ring = ", ".join(f"{x + dx} {y + dy}" for dx, dy in [*corners, corners[0]])
        feature.setGeometry(QgsGeometry.fromWkt(f"POLYGON (({ring}))"))
        feature["class"] = name
        layer.dataProvider().addFeature(feature)
    path = os.path.join(DEMO, "plots.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, path, QgsProject.instance().transformContext(), options
    )
    plots = iface.addVectorLayer(path, "plots", "ogr")
    names = QgsPalLayerSettings()
    names.fieldName = "class"
    names.isExpression = False
    text = QgsTextFormat()
    text.setSize(12)
    text.setColor(QColor("white"))
    names.setFormat(text)
    plots.setLabeling(QgsVectorLayerSimpleLabeling(names))
    plots.setLabelsEnabled(True)
    plots.renderer().symbol().setColor(QColor("#f4a300"))
    plots.setOpacity(0.6)
    iface.setActiveLayer(plots)
    iface.mapCanvas().setExtent(around(x, y + 500))
    plots.startEditing()
    iface.actionAddFeature().trigger()


def errors_over_scene():
    """Show what geoseg evaluate --errors writes."""
    scene = raster("scene.tif")
    raster("errors.tif")
    iface.mapCanvas().setExtent(around(*a_place(scene)))


STEPS = [
    ("qgis-map", map_over_scene),
    ("qgis-patches", patches_over_scene),
    ("qgis-labels", labels_being_drawn),
    ("qgis-errors", errors_over_scene),
]


def shown(left):
    """Do the next step, and come back when QGIS has drawn it."""
    if not left:
        QgsProject.instance().clear()
        scene_beside_map()
        os._exit(0)  # QGIS would ask what to do with edits
    name, show = left[0]
    for layer in QgsProject.instance().mapLayers().values():
        if hasattr(layer, "rollBack"):
            layer.rollBack()
    QgsProject.instance().clear()
    show()
    QTimer.singleShot(QUIET, lambda: (window(name), shown(left[1:])))


def start():
    """Make the window of a size, and leave the layers alone beside the map."""
    iface.mainWindow().resize(WIDTH, HEIGHT)
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if dock.objectName() != "Layers":
            dock.close()
    shown(STEPS)


def give_up():
    """Leave a QGIS in which something went wrong and asks."""
    os._exit(1)


QTimer.singleShot(1500, start)
QTimer.singleShot(60_000, give_up)
