#!/usr/bin/python3
"""Opens files in a headless QGIS as drag and drop would, and says what an analyst sees there.

usage: qgis_probe.py [--png OUT.png] FILE [FILE ...]

Prints a JSON list, an object for each file. Needs the interpreter that QGIS was installed for, so
tests run it as a program and import nothing of it. With --png the layers are drawn, the first
lowest.
"""

import argparse
import json
import os
import sys
import tempfile

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp()
from qgis.core import (
    QgsApplication,
    QgsLayerTree,
    QgsLayerTreeModel,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor

PIXELS = 60


def panel_rows(layer):
    """Texts of the rows that the layer panel shows beneath a layer."""
    tree = QgsLayerTree()
    node = tree.addLayer(layer)
    model = QgsLayerTreeModel(tree)
    rows = model.layerLegendNodes(node)
    texts = [str(row.data(Qt.DisplayRole) or "") for row in rows]
    return [text for text in texts if text]


def describe(path):
    """Layer of a file, and what it looks like."""
    vector = path.split("|")[0].endswith((".gpkg", ".geojson", ".shp"))
    layer = QgsVectorLayer(path, "x", "ogr") if vector else QgsRasterLayer(path, "x")
    if not layer.isValid():
        return layer, {"valid": False, "error": layer.error().summary()}
    extent = layer.extent()
    seen = {
        "valid": True,
        "crs": layer.crs().authid(),
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "renderer": layer.renderer().type(),
    }
    if vector:
        symbols = layer.renderer().legendSymbolItems()
        seen["legend"] = [[item.label(), item.symbol().color().name()] for item in symbols]
        seen["features"] = layer.featureCount()
        seen["fields"] = [field.name() for field in layer.fields()]
        return layer, seen
    seen["panel"] = panel_rows(layer)
    renderer, provider = layer.renderer(), layer.dataProvider()
    seen["items"] = [[text, color.name()] for text, color in renderer.legendSymbologyItems()]
    seen["bands"] = [layer.bandName(i) for i in range(1, layer.bandCount() + 1)]
    seen["nodata"] = [
        provider.sourceNoDataValue(i) if provider.sourceHasNoDataValue(i) else None
        for i in range(1, layer.bandCount() + 1)
    ]
    if renderer.type() == "paletted":
        seen["classes"] = [[c.value, c.label, c.color.name()] for c in renderer.classes()]
    if renderer.type() == "singlebandpseudocolor":
        shader = renderer.shader().rasterShaderFunction()
        seen["band"] = renderer.band()
        seen["limits"] = [renderer.classificationMin(), renderer.classificationMax()]
        seen["ramp"] = shader.sourceColorRamp().type() if shader.sourceColorRamp() else None
        seen["stretch"] = renderer.minMaxOrigin().limits()
        seen["stops"] = [[i.value, i.label, i.color.name()] for i in shader.colorRampItemList()]
    return layer, seen


def draw(layers, width, height):
    """Picture of layers over one another, the first lowest."""
    settings = QgsMapSettings()
    settings.setLayers(layers[::-1])
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(layers[0].extent())
    settings.setBackgroundColor(QColor("white"))
    settings.setOutputSize(QSize(width, height))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


def main():
    """Describe the files; see the module's text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--png")
    args = parser.parse_args()
    application = QgsApplication([], False)
    application.initQgis()
    found, layers = [], []
    for path in args.files:
        layer, seen = describe(path)
        if layer.isValid():
            layers.append(layer)
            picture = draw([layer], PIXELS, PIXELS)
            seen["drawn"] = sorted(
                {QColor(picture.pixel(c, r)).name() for c in range(PIXELS) for r in range(PIXELS)}
            )
        found.append(seen)
    if args.png and layers:
        extent = layers[0].extent()
        height = max(1, round(800 * extent.height() / extent.width()))
        draw(layers, 800, height).save(args.png)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # QGIS may crash while it is taken down without a screen; all is said by now
