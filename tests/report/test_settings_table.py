"""Settings as a table: a row each, in order, in words."""

from __future__ import annotations

from geoseg.report.numbers import setting
from geoseg.report.settings_table import settings_table


def test_settings_have_a_row_each_and_what_is_said_besides_follows() -> None:
    table = settings_table({"tile_size": 256, "tta": None}, [("device", "cpu")])
    assert table.rows == (("tile size", setting(256)), ("tta", setting(None)), ("device", "cpu"))
    assert table.header == ("setting", "value")
