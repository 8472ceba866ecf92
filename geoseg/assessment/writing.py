"""Files of an evaluation: JSON, tables, a page; one of them, or a folder of all."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geoseg.assessment.findings import Findings
from geoseg.errors import OptionError, OutputError
from geoseg.raster.maker import KEY, page_with
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.provenance import maker_tags

SCORES, PAGE = "scores.json", "report.html"
"""Names of the files that every folder of an evaluation holds."""

_TABLES = ("classes.csv", "confusion.csv", "stages.csv", "photographs.csv", "maps.csv", "cells.csv")


def is_folder(path: str | Path) -> bool:
    """Whether an output's name is that of a folder: one without an ending."""
    return not Path(path).suffix


def check_report(path: str | Path, *, overwrite: bool) -> Path:
    """Tell early whether an evaluation can be written: *.json, *.html, or a folder.

    Raises
    ------
    OptionError
        Its name ends otherwise.
    OutputError
        It cannot, or something is there and `overwrite` is False, or is no evaluation.
    """
    target = Path(path)
    if not is_folder(target):
        if target.suffix.lower() not in (".json", ".html"):
            raise OptionError(
                f"{target}: name the output *.json or *.html, or a folder (without an ending)"
            )
        return check_output(target, overwrite=overwrite)
    if not target.is_dir():
        return check_output(target, overwrite=overwrite)
    if not overwrite:
        raise OutputError(f"{target} is there already; replace it with --overwrite")
    names = {path.name for path in target.iterdir()}
    if not {SCORES, PAGE} <= names:
        raise OutputError(
            f"{target} is there and holds no evaluation, so it is not replaced; remove it or choose"
            " another folder"
        )
    if others := sorted(names - {SCORES, PAGE, *_TABLES}):
        raise OutputError(
            f"{target} holds {others[0]}, which is no part of an evaluation, so it is not replaced;"
            " move that, or choose another folder"
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: the folder {target.parent} cannot be written to")
    return target


def json_text(content: Mapping[str, Any]) -> str:
    """Write `geoseg.assessment.document.document` as the text of a file."""
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def tables(content: Mapping[str, Any], findings: Findings) -> dict[str, str]:
    """CSV files by name: classes, confusion and, where they were compared, stages and cells."""
    sides: Sequence[Mapping[str, Any]] = content.get("predictions", [content])
    files = {"classes.csv": _classes(sides), "confusion.csv": _confusion(sides)}
    if all("stages" in side for side in sides):
        files["stages.csv"] = _stages(sides)
    for key in ("photographs", "maps"):
        if all(key in side for side in sides):
            files[f"{key}.csv"] = _one_by_one(sides, key)
    if findings.stages is not None and findings.cells is not None:
        files["cells.csv"] = _cells(sides, findings)
    return files


def write_report(
    path: Path,
    content: Mapping[str, Any],
    findings: Findings,
    page: str | None,
    *,
    overwrite: bool,
) -> None:
    """Write an evaluation as its path says: JSON, a page, or a folder of everything.

    Parameters
    ----------
    path
        As `check_report` returned it.
    content
        The document.
    findings
        What was found beyond scores.
    page
        The page; None where only JSON is wanted.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    files = {SCORES: json_text(content)}
    if page is not None:
        files[PAGE] = page_with(page, maker_tags(content[KEY])) if KEY in content else page
    if is_folder(path):
        files |= tables(content, findings)
    _write_files(path, files, overwrite=overwrite)


def _write_files(path: Path, files: Mapping[str, str], *, overwrite: bool) -> None:
    """Write one file or a folder of files, whole or not at all."""
    with TemporaryFolder(path) as hidden:
        try:
            if is_folder(path):
                made = hidden.path / "evaluation"
                made.mkdir()
                for name, text in files.items():
                    (made / name).write_text(text, encoding="utf-8", newline="\n")
                if not overwrite and os.path.lexists(path):
                    raise OutputError(
                        f"{path} appeared while it was being made; it was left as it is"
                    )
                hidden.publish_folder(made)
            else:
                made = hidden.path / "report"
                text = files[SCORES if path.suffix.lower() == ".json" else PAGE]
                made.write_text(text, encoding="utf-8", newline="\n")
                hidden.publish(made, {}, overwrite=overwrite)
        except (OSError, shutil.Error) as error:
            if isinstance(error, shutil.Error):
                raise OutputError(f"{path} cannot be written: {error}") from error
            raise output_error(error, path) from error


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue()


def _classes(sides: Sequence[Mapping[str, Any]]) -> str:
    scores = ("recall", "precision", "iou", "f1")
    counts = ("pixels", "predicted_pixels", "correct_pixels", "unpredicted_pixels")
    limits = "intervals" in sides[0]
    header = ["prediction", "id", "class", "in_means", *counts, "frequency"]
    for score in scores:
        header += [score, f"{score}_low", f"{score}_high"] if limits else [score]
    rows = []
    for side in sides:
        for number, c in enumerate(side["classes"]):
            row = [side["prediction"], c["id"], c["name"], int(c["in_means"])]
            row += [c[key] for key in (*counts, "frequency")]
            for score in scores:
                row.append(c[score])
                if limits:
                    row += side["intervals"]["classes"][number][score]
            rows.append(row)
    return _csv(header, rows)


def _confusion(sides: Sequence[Mapping[str, Any]]) -> str:
    names = [c["name"] for c in sides[0]["classes"]]
    rows = [
        [side["prediction"], name, *line, missing]
        for side in sides
        for name, line, missing in zip(
            names, side["confusion"]["counts"], side["confusion"]["unpredicted"], strict=True
        )
    ]
    return _csv(["prediction", "truth", *names, "no prediction"], rows)


def _stages(sides: Sequence[Mapping[str, Any]]) -> str:
    names = [stage["name"] for stage in sides[0]["stages"]["stages"]]
    rows = [
        [
            side["prediction"],
            stage["name"],
            stage["total"],
            stage["correct"],
            stage["success"],
            *(stage["wrong_as"].get(name) for name in names),
        ]
        for side in sides
        for stage in side["stages"]["stages"]
    ]
    wrong = [f"wrong as {name}" for name in names]
    return _csv(["prediction", "stage", "total", "correct", "success", *wrong], rows)


def _one_by_one(sides: Sequence[Mapping[str, Any]], key: str) -> str:
    names = [c["name"] for c in sides[0]["classes"]]
    plain = [name for name in sides[0][key][0] if name != "iou"]
    rows = [
        [side["prediction"], *(one[name] for name in plain), *one["iou"]]
        for side in sides
        for one in side[key]
    ]
    return _csv(["prediction", *plain, *(f"iou {name}" for name in names)], rows)


def _cells(sides: Sequence[Mapping[str, Any]], findings: Findings) -> str:
    rows = []
    for p, side in enumerate(sides):
        of_side, number = findings.of(p)
        if of_side.cells is None or of_side.stages is None:
            continue
        cells, found = of_side.cells, of_side.stages[number]
        maps, names = [one["name"] for one in side.get("maps", [])], found.scores.names
        places = zip(cells.rows.tolist(), cells.cols.tolist(), cells.centres.tolist(), strict=True)
        percents = zip(found.true_percent.tolist(), found.found_percent.tolist(), strict=True)
        stages = zip(found.true.tolist(), found.found.tolist(), strict=True)
        scored = found.scored.tolist()
        every = zip(cells.maps.tolist(), places, percents, stages, scored, strict=True)
        for of, (row, col, centre), shares, (true, predicted), is_scored in every:
            if not is_scored:  # by another map it is, and of this one nothing is known here
                continue
            # NaN: nothing counts there.
            known = [value if value == value else None for value in shares]  # noqa: PLR0124
            said = [side["prediction"], *([maps[of]] if maps else [])]
            rows.append([*said, row, col, *centre, *known, names[true], names[predicted]])
    which = ["map"] if "maps" in sides[0] else []
    places_of = ["row", "col", "x", "y"]
    header = ["prediction", *which, *places_of, "coverage_labels", "coverage"]
    return _csv([*header, "stage_labels", "stage"], rows)
