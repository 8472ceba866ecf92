"""What a run of a recipe came to: a page for people, JSON for programs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import geoseg
from geoseg.errors import InputError
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.maker import document_with, page_with
from geoseg.raster.provenance import provenance
from geoseg.recipe.form import Places, Recipe
from geoseg.recipe.gallery import draw, legend_of
from geoseg.recipe.planning import Verdict
from geoseg.recipe.results import Line
from geoseg.recipe.running import Outcome
from geoseg.report.numbers import NONE, duration, score, setting, signed
from geoseg.report.page import (
    Block,
    Cell,
    Fact,
    Facts,
    Figure,
    Folded,
    Grid,
    Heading,
    Key,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    make_page,
)

PAGE, DOCUMENT = "report.html", "report.json"
"""Names of both in the folder of the results."""

_MOST_PICTURES, _MOST_OF_STEP = 48, 4
"""Of the page, and of a step: so is it never larger than a mail can be."""
_SAID = {
    "done": "done before",
    "run": "run",
    "redo": "run again",
    "resume": "gone on with",
    "foreign": "not of this run",
    "left out": "left out",
}


def document(
    recipe: Recipe, outcome: Outcome, lines: Sequence[Line], places: Places
) -> dict[str, Any]:
    """Return everything as plain JSON objects."""
    content = {
        "title": recipe.title,
        **recipe.header,
        "recipe": recipe.document.path.name,
        "set": dict(recipe.values),
        "overrides": list(recipe.overrides),
        "steps": steps(outcome, places),
        "expected": [
            {
                "table": line.expected.table,
                "of": line.expected.of,
                "score": line.expected.score,
                "published": line.expected.published,
                "ours": line.ours,
                "difference": line.difference,
                "problem": line.problem or None,
            }
            for line in lines
        ],
        "geoseg": geoseg.__version__,
    }
    return document_with(content, _tags(recipe))


def _tags(recipe: Recipe) -> dict[str, str]:
    """Say what made the report; what made the outputs, they say themselves."""
    path = recipe.document.path
    inputs: dict[str, str] = {}
    with suppress(InputError):  # it may have gone by now
        inputs[path.name] = fingerprint_files([str(path)])
    words = [word for text in recipe.overrides for word in ("--set", text)]
    options = {"set": list(recipe.overrides)} if recipe.overrides else {}
    return provenance(["geoseg", "run", path.name, *words], inputs, options=options)


def steps(outcome: Outcome, places: Places) -> list[dict[str, Any]]:
    """Return steps as plain JSON objects."""
    return [
        {
            "name": one.wired.step.name,
            "command": command(one.wired.step.run, one.wired.step.words(), places),
            "output": places.fill(one.wired.step.output),
            "action": one.action,
            "reason": one.reason or None,
            "was_done": one.action == "done",
            "seconds": outcome.seconds.get(one.wired.step.output),
        }
        for one in outcome.verdicts
    ]


def command(run: str, words: Sequence[str], places: Places) -> str:
    """Write a step as it is typed."""
    return shlex.join(["geoseg", run, *map(places.fill, words)])


def json_text(content: dict[str, Any]) -> str:
    """Write `document` as the text of a file."""
    return json.dumps(content, ensure_ascii=False, indent=2, default=str) + "\n"


def page(recipe: Recipe, outcome: Outcome, lines: Sequence[Line], places: Places) -> str:
    """Write the page: the paper's numbers beside ours, the steps, and what was decided."""
    total = sum(outcome.seconds.get(one.wired.step.output, 0.0) for one in outcome.verdicts)
    there = sum(one.action not in ("left out", "foreign") for one in outcome.verdicts)
    facts = [
        Fact("Steps done", f"{there} of {len(outcome.verdicts)}", f"{outcome.ran} in this run"),
        Fact("Time", duration(total), "of the steps that are there"),
    ]
    facts += [
        Fact(
            f"{line.expected.score}, {line.expected.of}",
            score(line.ours),
            ""
            if line.expected.published is None
            else f"published: {score(line.expected.published)}",
        )
        for line in lines
        if line.expected.headline and line.ours is not None
    ]
    sections = [Section("In short", (Facts(tuple(facts)),))]
    if lines:
        sections.append(Section("The paper and ours", _tables(lines, recipe.overrides)))
    sections.append(Section("Steps", _steps(outcome, places)))
    pictures = _pictures(outcome, places)
    if pictures:
        sections.append(Section("What came out", pictures))
    said = _about(recipe)
    if said:
        sections.append(Section("What this is", said))
    made = make_page(
        recipe.title,
        sections,
        lead=recipe.header.get("paper", ""),
        foot=f"geoseg {geoseg.__version__}, {recipe.document.path.name}",
    )
    return page_with(made, _tags(recipe))


def _tables(lines: Sequence[Line], overrides: Sequence[str]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for name in dict.fromkeys(line.expected.table for line in lines):
        own = [line for line in lines if line.expected.table == name]
        if name:
            blocks.append(Heading(name))
        scores = list(dict.fromkeys(line.expected.score for line in own))
        blocks.append(_list(own) if len(scores) == 1 else _grid(own, scores))
    problems = tuple(dict.fromkeys(line.problem for line in lines if line.problem))
    if problems:
        blocks.append(Folded("Why some of ours are missing", (Points(problems),)))
    blocks.append(
        Paragraph(
            "Published numbers are of the paper's own data and split; ours are of the data that"
            " this run was given."
        )
    )
    if overrides:
        blocks.append(
            Paragraph(f"This run was made otherwise than the recipe says: {'; '.join(overrides)}.")
        )
    return tuple(blocks)


def _list(lines: Sequence[Line]) -> Table:
    """Lay out a table of one score: a row a thing; of ours alone where nothing is published."""
    if all(line.expected.published is None for line in lines):
        return Table(
            ("", f"{lines[0].expected.score}, ours"),
            tuple((line.expected.of, score(line.ours)) for line in lines),
            (False, True),
        )
    return Table(
        ("", lines[0].expected.score + ", published", "ours", "difference"),
        tuple(
            (
                line.expected.of,
                score(line.expected.published),
                score(line.ours),
                signed(line.difference),
            )
            for line in lines
        ),
        (False, True, True, True),
    )


def _grid(lines: Sequence[Line], scores: Sequence[str]) -> Table:
    """Lay out a table as papers do, a column a score: two rows a thing, theirs and ours."""
    rows: list[Row] = []
    for of in dict.fromkeys(line.expected.of for line in lines):
        own = {line.expected.score: line for line in lines if line.expected.of == of}
        found = [own.get(name) for name in scores]
        published = [line.expected.published if line else None for line in found]
        if any(value is not None for value in published):
            rows.append((of, "published", *map(score, published)))
        rows.append((of, "ours", *(score(line.ours if line else None) for line in found)))
    return Table(("", "", *scores), tuple(rows), (False, False, *[True] * len(scores)))


def _steps(outcome: Outcome, places: Places) -> tuple[Block, ...]:
    rows: list[Row] = []
    commands = []
    for group, verdicts in _grouped(outcome):
        for one in verdicts:
            step = one.wired.step
            seconds = outcome.seconds.get(step.output)
            rows.append(
                (
                    group if one is verdicts[0] else "",
                    step.name.removeprefix(group).strip("[]"),
                    _SAID[one.action],
                    NONE if seconds is None else duration(seconds),
                    Cell("", links=_links(one.wired.makes, places)),
                    Cell("", links=_links(_beside(outcome, one), places)),
                )
            )
            commands.append(command(step.run, step.words(), places))
    return (
        Table(
            ("step", "each", "in this run", "time", "made", "beside it"),
            tuple(rows),
            (False, False, False, True, False, False),
        ),
        Folded("The commands", (Points(tuple(commands)),)),
    )


def _grouped(outcome: Outcome) -> list[tuple[str, list[Verdict]]]:
    """Group steps by the name that those of one ``each`` share."""
    groups: dict[str, list[Verdict]] = {}
    for one in outcome.verdicts:
        groups.setdefault(one.wired.step.group, []).append(one)
    return list(groups.items())


def _beside(outcome: Outcome, one: Verdict) -> tuple[str, ...]:
    """Files that a step made besides; styles are for programs alone."""
    found = outcome.beside.get(one.wired.step.output, ())
    return tuple(path for path in found if not path.endswith(".qml"))


def _links(made: Sequence[str], places: Places) -> tuple[tuple[str, str], ...]:
    """Names and places of what was made, as seen from the folder of the results."""
    found = []
    for template in made:
        name = _in_results(template)
        path = places.out / name
        if path.is_dir():
            page = (path / PAGE).is_file()
            found.append((f"{name}/", f"{name}/"))
            found += [(f"{name}/{PAGE}", f"{name}/{PAGE}")] * page
        elif path.exists():
            found.append((name, name))
    return tuple(found)


def _pictures(outcome: Outcome, places: Places) -> tuple[Block, ...]:
    """Show what steps made, a heading for those of one ``each``."""
    blocks: list[Block] = []
    left = _MOST_PICTURES
    for group, verdicts in _grouped(outcome):
        figures: list[Figure] = []
        for one in verdicts:
            if left > len(figures) and one.action not in ("left out", "foreign"):
                made = (*one.wired.makes, *_beside(outcome, one))
                paths = [places.out / _in_results(path) for path in made]
                room = min(_MOST_OF_STEP, left - len(figures))
                figures += list(islice(draw(paths, places.out), room))
        if figures:
            blocks += [Heading(group), Grid(tuple(figures), small=True)]
            legends = [legend_of(places.out / figure.link) for figure in figures]
            blocks += [Key.of(one) for one in dict.fromkeys(legends) if one is not None]
            left -= len(figures)
    if left <= 0:
        blocks.append(Paragraph("There is more than a page can show; the table has all of it."))
    return tuple(blocks)


def _in_results(template: str) -> str:
    return template.removeprefix("{out}/")


def _one_line(text: str) -> str:
    """Join lines for a cell of a table."""
    return "; ".join(" ".join(line.split()).rstrip(";") for line in text.splitlines())


def _about(recipe: Recipe) -> tuple[Block, ...]:
    pairs = [(key, recipe.header[key]) for key in recipe.header if key != "paper"]
    pairs += [(f"data: {key}", _one_line(text)) for key, text in recipe.data.items()]
    blocks: list[Block] = []
    if recipe.decisions:
        blocks.append(Paragraph("What the paper leaves open, and what was chosen here:"))
        blocks.append(Points(recipe.decisions))
    if recipe.values:
        rows = tuple((name, setting(value)) for name, value in recipe.values.items())
        blocks.append(Table(("value", "in this run"), rows, (False, False)))
    if recipe.overrides:
        blocks.append(Paragraph(f"Overridden: {'; '.join(recipe.overrides)}."))
    if pairs:
        blocks.append(Table(("", ""), tuple(pairs), (False, False)))
    return tuple(blocks)
