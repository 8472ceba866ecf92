"""What a user names, spread out: catalogs, folders of products, the same twice, days."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.compositing.opening import open_products
from geoseg.errors import GeosegError, InputError, OptionError, RasterReadError

Write = Callable[..., Path]

PRODUCT = "LC08_L2SP_190026_2018{:02d}01_20200831_02_T1"


def product(write: Write, month: int, folder: str = ".") -> Path:
    name = PRODUCT.format(month)
    for band in ("SR_B4", "SR_B5"):
        write(f"{folder}/{name}/{name}_{band}.TIF", [[month]])
    return write(f"{folder}/{name}/{name}_QA_PIXEL.TIF", [[21824]]).parent


def item_of(folder: Path, *, href: str = "", bands: bool = True) -> Path:
    """Write the item of a product beside its files."""
    name = folder.name
    assets = {band: {"href": f"{href}{name}_{band}.TIF"} for band in ("SR_B4", "SR_B5", "QA_PIXEL")}
    if not bands:
        assets = {"thumbnail": {"href": "thumb.jpeg"}}
    whole = {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "geometry": None, "links": [],
        "properties": {"datetime": f"{name[17:21]}-{name[21:23]}-01T10:00:00Z"}, "assets": assets,
    }  # fmt: skip
    path = folder / f"{name}_stac.json"
    path.write_text(json.dumps(whole))
    return path


def catalog(path: Path, *links: tuple[str, str], **more: Any) -> Path:
    whole = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": path.stem,
        "description": "made",
        "links": [{"rel": rel, "href": href} for rel, href in links],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole | more))
    return path


def names(*sources: Path | str, **more: Any) -> list[str]:
    return [product.name for product in open_products([str(s) for s in sources], **more).products]


# Catalogs


def test_every_item_of_a_catalog_and_its_children_is_a_product(
    write: Write, tmp_path: Path
) -> None:
    items = [item_of(product(write, month)) for month in (1, 2, 3)]
    inner = catalog(
        tmp_path / "year" / "inner.json", ("item", f"../{PRODUCT.format(3)}/{items[2].name}")
    )
    outer = catalog(
        tmp_path / "catalog.json",
        ("root", "./catalog.json"),
        ("self", "https://example.org/catalog.json"),
        ("child", "./year/inner.json"),
        ("item", f"./{items[0].parent.name}/{items[0].name}"),
        ("item", str(items[1])),
    )  # fmt: skip
    assert inner.is_file()
    opened = open_products([str(outer)])
    assert [p.name for p in opened.products] == [PRODUCT.format(m) for m in (1, 2, 3)]
    assert opened.notes == ()
    scene = opened.products[2].scene(["red"])
    assert scene.read(scene.grid.window).data.ravel().tolist() == [3]
    assert opened.products[0].acquired == date(2018, 1, 1)


def test_collections_and_lists_of_items_are_catalogs_too(write: Write, tmp_path: Path) -> None:
    items = [item_of(product(write, month)) for month in (1, 2)]
    collection = catalog(
        tmp_path / "collection.json",
        ("item", f"./{items[0].parent.name}/{items[0].name}"),
        type="Collection",
        license="other",
        extent={
            "spatial": {"bbox": [[0, 0, 1, 1]]},
            "temporal": {"interval": [["2018-01-01T00:00:00Z", None]]},
        },
    )
    assert names(collection) == [PRODUCT.format(1)]
    features = []
    for item in items:
        whole = json.loads(item.read_text())
        for asset in whole["assets"].values():
            asset["href"] = f"{item.parent.name}/{asset['href']}"
        features.append(whole)
    found = tmp_path / "search.geojson"
    found.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert names(found) == [PRODUCT.format(1), PRODUCT.format(2)]


def test_circles_and_items_linked_twice_count_once(write: Write, tmp_path: Path) -> None:
    item = item_of(product(write, 1))
    link = ("item", f"./{item.parent.name}/{item.name}")
    outer = catalog(tmp_path / "a.json", ("child", "./b.json"), link, link)
    catalog(tmp_path / "b.json", ("child", "./a.json"), ("child", "b.json"), link)
    opened = open_products([str(outer), str(item), str(item.parent)])
    assert [p.name for p in opened.products] == [PRODUCT.format(1)]
    assert opened.notes == (
        f"left out, for being given already in another form or path: {item}, {item.parent}",
    )


def test_items_without_rasters_are_left_out_unless_all_are(write: Write, tmp_path: Path) -> None:
    good = item_of(product(write, 1))
    empty = item_of(product(write, 2), bands=False)
    links = [("item", f"./{path.parent.name}/{path.name}") for path in (empty, good)]
    opened = open_products([str(catalog(tmp_path / "c.json", *links))])
    assert [p.name for p in opened.products] == [PRODUCT.format(1)]
    (note,) = opened.notes
    assert note.startswith(
        f"left out of c.json, for holding nothing that can be used: {PRODUCT.format(2)} ("
    )
    assert "no band of Landsat 8" in note
    with pytest.raises(RasterReadError, match="none of its 1 items can be used, the first because"):
        open_products([str(catalog(tmp_path / "d.json", links[0]))])
    with pytest.raises(RasterReadError, match="leads to no item"):
        open_products([str(catalog(tmp_path / "e.json"))])


@pytest.mark.parametrize(
    ("link", "says"),
    [
        (("item", "./gone.json"), "cannot be reached .No such file"),
        (("child", "http://127.0.0.1:9/catalog.json"), "http://127.0.0.1:9/catalog.json, to which"),
        (("child", "ftp://example.org/c.json"), "no address that is followed: ftp"),
        (("child", "./broken.json"), "is not JSON"),
        (("child", "./odd.json"), "is no STAC catalog that can be read"),
        (("child", "./list.json"), "is no STAC catalog that can be read"),
    ],
)
def test_links_that_lead_nowhere_are_one_line(
    tmp_path: Path, link: tuple[str, str], says: str
) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "odd.json").write_text('{"type": "Catalog", "links": 7}')
    (tmp_path / "list.json").write_text("[]")
    path = catalog(tmp_path / "c.json", link)
    with pytest.raises(RasterReadError, match=says) as raised:
        open_products([str(path)])
    assert "\n" not in str(raised.value)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path / "far"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def log_message(self, *given: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_items_far_away_are_read_and_their_addresses_followed(
    write: Write, tmp_path: Path, server: tuple[Path, str]
) -> None:
    folder, address = server
    item = item_of(product(write, 1, "far"), href="./")
    near = catalog(tmp_path / "c.json", ("child", f"{address}/d.json"))
    catalog(folder / "d.json", ("item", f"{item.parent.name}/{item.name}"))
    (found,) = open_products([str(near)]).products
    assert found.band("red").path == f"{address}/{PRODUCT.format(1)}/{PRODUCT.format(1)}_SR_B4.TIF"
    catalog(folder / "d.json", ("item", "gone.json"))
    with pytest.raises(
        RasterReadError, match=r"gone\.json, to which .*c\.json leads: cannot be reached"
    ):
        open_products([str(near)])


WORDS = st.sampled_from(
    ["Catalog", "Collection", "Feature", "item", "child", "self", "./a.json", "http://[", "", "\0",
     "1.0.0", "0.9.0", "file:///nowhere/b.json"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rel", "href", "type", "id", "title"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    said=st.fixed_dictionaries(
        {"type": WORDS | JSON},
        optional={
            "stac_version": WORDS | JSON,
            "id": WORDS | JSON,
            "description": WORDS,
            "links": JSON
            | st.lists(
                st.fixed_dictionaries(
                    {"rel": st.sampled_from(["item", "child"]), "href": WORDS | JSON}
                ),
                max_size=2,
            ),
            "features": JSON,
            "extent": JSON,
            "stac_extensions": JSON,
        },
    )
)
def test_whatever_a_catalog_says_is_a_catalog_or_one_line(tmp_path: Path, said: Any) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(said))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(GeosegError) as raised:  # there is no item that could be used
            open_products([str(path)])
    assert len(str(raised.value).splitlines()) == 1


def test_a_long_chain_of_catalogs_is_walked_to_its_end(write: Write, tmp_path: Path) -> None:
    item = item_of(product(write, 1))
    for number in range(1500):
        link = f"./{number + 1}.json" if number < 1499 else f"./{item.parent.name}/{item.name}"
        rel = "child" if number < 1499 else "item"
        catalog(tmp_path / f"{number}.json", (rel, link))
    assert names(tmp_path / "0.json") == [PRODUCT.format(1)]


def test_options_of_rasters_do_not_go_with_catalogs(write: Write, tmp_path: Path) -> None:
    item = item_of(product(write, 1))
    path = catalog(tmp_path / "c.json", ("item", f"./{item.parent.name}/{item.name}"))
    with pytest.raises(OptionError, match="leave them out"):
        open_products([str(path)], sensor="naip")
    (found,) = open_products([str(path)], quality="none").products
    assert found.quality() is None


@pytest.mark.realdata
def test_a_real_item_in_a_catalog_that_pystac_writes(tmp_path: Path, real_data: Path) -> None:
    folder = tmp_path / "files"
    shutil.copytree(real_data / "landsat8_c2l2", folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    (source,) = folder.glob("*_stac.json")
    made = pystac.Catalog(id="made", description="made")
    item = pystac.Item.from_file(str(source))
    item.clear_links()
    made.add_item(item)
    made.normalize_hrefs(str(tmp_path / "catalog"))
    made.save(pystac.CatalogType.SELF_CONTAINED)
    (moved,) = (tmp_path / "catalog").glob("*/*.json")
    shutil.move(str(moved), folder / "item.json")
    moved.parent.rmdir()
    text = (tmp_path / "catalog" / "catalog.json").read_text()
    whole = json.loads(text)
    for link in whole["links"]:
        if link["rel"] == "item":
            link["href"] = "../files/item.json"
    (tmp_path / "catalog" / "catalog.json").write_text(json.dumps(whole))
    source.unlink()
    (found,) = open_products([str(tmp_path / "catalog" / "catalog.json")]).products
    (alone,) = open_products([str(next(folder.glob("*_MTL.json")))]).products
    assert found.band_names == alone.band_names
    assert [b.scale for b in found.bands] == [b.scale for b in alone.bands]
    assert found.quality() is not None
    both = open_products([str(tmp_path / "catalog" / "catalog.json"), str(folder)])
    assert len(both.products) == 1
    assert "given already" in both.notes[0]


# The same twice


def test_one_product_in_three_forms_counts_once(write: Write, tmp_path: Path) -> None:
    folder = product(write, 1)
    item = item_of(folder)
    groups = {
        "PRODUCT_CONTENTS": {
            "LANDSAT_PRODUCT_ID": folder.name,
            "FILE_NAME_BAND_4": f"{folder.name}_SR_B4.TIF",
        },
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
            "REFLECTANCE_MULT_BAND_4": "2.75e-05",
            "REFLECTANCE_ADD_BAND_4": "-0.2",
        },
    }
    metadata = folder / f"{folder.name}_MTL.json"
    metadata.write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}))
    opened = open_products([str(metadata), str(item), str(folder), str(product(write, 2))])
    assert opened.products[0].source == str(metadata)
    assert len(opened.products) == 2
    assert opened.notes[0].endswith(f"{item}, {folder}")


def test_one_file_by_two_paths_counts_once(write: Write, tmp_path: Path) -> None:
    path = write("a.tif", [[1]])
    (tmp_path / "b.tif").symlink_to(path)
    other = tmp_path / "sub" / ".." / "a.tif"
    (tmp_path / "sub").mkdir()
    assert names(path, tmp_path / "b.tif", other, write("c.tif", [[1]])) == ["a", "c"]


def test_tiles_of_one_day_are_not_the_same(write: Write) -> None:
    first = product(write, 1)
    second = product(write, 1, "other")
    renamed = second.with_name(first.name.replace("190026", "190027"))
    second.rename(renamed)
    for path in renamed.iterdir():
        path.rename(path.with_name(path.name.replace("190026", "190027")))
    assert len(names(first, renamed)) == 2


# Folders of products


def test_a_folder_of_products_stands_for_them(write: Write, tmp_path: Path) -> None:
    for month in (2, 1):
        product(write, month, "2018")
    (tmp_path / "2018" / "notes.txt").write_text("mine")
    (tmp_path / "2018" / ".cache").mkdir()
    opened = open_products([str(tmp_path / "2018")])
    assert [p.name for p in opened.products] == [PRODUCT.format(1), PRODUCT.format(2)]
    assert opened.notes == (f"{tmp_path / '2018'} stands for the products in it: 2",)


def test_a_folder_of_products_and_others_says_what_to_name(write: Write, tmp_path: Path) -> None:
    product(write, 1, "2018")
    write("2018/other/b1.tif", [[1]])
    with pytest.raises(RasterReadError, match=r"not all are products \(other\); name those to use"):
        open_products([str(tmp_path / "2018")])
    write("2018/mosaic.tif", [[1]])
    assert names(tmp_path / "2018") == ["2018"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no rasters"):
        open_products([str(tmp_path / "empty")])


# Days


def test_days_are_chosen_from_the_first_to_before_the_last(write: Write) -> None:
    folders = [product(write, month) for month in (1, 2, 3)]
    opened = open_products([str(f) for f in folders], start=date(2018, 2, 1), end=date(2018, 3, 1))
    assert [p.name for p in opened.products] == [PRODUCT.format(2)]
    assert opened.notes == (
        "left out, for not being from 2018-02-01 before 2018-03-01: "
        f"{PRODUCT.format(1)}, {PRODUCT.format(3)}",
    )
    assert len(names(*folders, start=date(2018, 2, 1))) == 2
    assert len(names(*folders, end=date(2018, 2, 1))) == 1


def test_days_that_choose_nothing_or_cannot_be_known_are_refused(write: Write) -> None:
    folder = product(write, 1)
    with pytest.raises(
        RasterReadError, match="no scene is from 2019-01-01; those given are of 2018"
    ):
        open_products([str(folder)], start=date(2019, 1, 1))
    with pytest.raises(OptionError, match="there is no day"):
        open_products([str(folder)], start=date(2019, 1, 1), end=date(2019, 1, 1))
    with pytest.raises(RasterReadError, match="does not say its day"):
        open_products([str(write("a.tif", [[1]]))], start=date(2019, 1, 1))
