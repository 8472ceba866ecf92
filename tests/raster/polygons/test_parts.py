from __future__ import annotations

from pathlib import Path

import shapely

from geoseg.raster.polygons.parts import Parts


def test_polygons_of_a_key_become_one_multipolygon_in_their_order(tmp_path: Path) -> None:
    boxes = [shapely.box(i, 0, i + 1, 1) for i in range(0, 10, 2)]
    parts = Parts(tmp_path)
    for key, some in ((3, boxes[:2]), (9, boxes[2:3]), (3, boxes[3:])):
        parts.add(key, [shapely.to_wkb(one, byte_order=1) for one in some])
    assert parts.counts == {3: 4, 9: 1}
    assert shapely.from_wkb(parts.multipolygon(3)) == shapely.MultiPolygon(boxes[:2] + boxes[3:])
    assert shapely.from_wkb(parts.multipolygon(9)) == shapely.MultiPolygon(boxes[2:3])
    assert parts.size(3) == 4 * parts.size(9)
    parts.close()
    assert list(tmp_path.iterdir()) == []
