"""From a TOML file to a recipe, checked as a whole."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from geoseg.errors import RecipeError
from geoseg.recipe.filling import Fail, fill, fill_text
from geoseg.recipe.form import IN_BRACES, PLACES, Expected, Recipe, Step
from geoseg.recipe.lines import Document, Key, suggestion

DATA_FILE = "data.toml"
"""File beside a recipe that may say what ``[data]`` says."""

_HEADER = ("paper", "command", "hardware", "time", "note")
_DATA = ("title", "source", "layout", "licence", "citation", "prepare", "note")
_TEXT, _TEXTS, _TABLE, _TABLES = "text in quotes", "a list of texts", "a table", "tables"
_ANY, _NUMBER, _LIST, _TRUTH = "anything", "a number", "a list", "true or false"
_KINDS: dict[str, type | tuple[type, ...]] = {
    _TEXT: str,
    _TABLE: dict,
    _NUMBER: (int, float),
    _LIST: list,
}
_TOP = {
    "title": _TEXT,
    **dict.fromkeys(_HEADER, _TEXT),
    "decisions": _TEXTS,
    "set": _TABLE,
    "data": _TABLE,
    "step": _TABLES,
    "expected": _TABLES,
}
_STEP = {
    "name": _TEXT,
    "run": _TEXT,
    "each": _ANY,
    "arguments": _LIST,
    "options": _TABLE,
    "output": _TEXT,
    "needs": _TEXTS,
}
_EXPECTED = {
    "table": _TEXT,
    "of": _TEXT,
    "score": _TEXT,
    "published": _NUMBER,
    "file": _TEXT,
    "key": _TEXT,
    "headline": _TRUTH,
}


def read_recipe(path: str | Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path
        The file.
    overrides
        ``NAME=VALUE`` for what ``[set]`` says, ``STEP.OPTION=VALUE`` for an option of a step.

    Raises
    ------
    RecipeError
        The file is missing, no TOML, or holds what a recipe does not; with file and line.
    """
    document = Document.read(path)
    content = document.content
    _check(document, content, _TOP, ())
    if not content.get("step"):
        raise document.error((), "a recipe needs at least one [[step]]")
    values = dict(content.get("set", {}))
    for name in values:
        if name in PLACES or not IN_BRACES.fullmatch(f"{{{name}}}") or "." in name:
            raise document.error(("set", name), f"'{name}' cannot be the name of a value")
    tables = [dict(table) for table in content["step"]]
    for number, table in enumerate(tables):
        _check(document, table, _STEP, ("step", number))
        for key in ("run", "output"):
            if key not in table:
                raise document.error(
                    ("step", number), f'a step needs run = "command" and output = "path": no {key}'
                )
        if "each" in table:
            _check_each(document, table["each"], values, ("step", number, "each"))
    for name, value in values.items():
        _check_plain(document, value, values, ("set", name))
    _name(document, tables)
    for override in overrides:
        _override(document, override, values, tables)
    steps: list[Step] = []
    for number, table in enumerate(tables):
        later = tuple(other["name"] for other in tables[number:])
        steps += _steps(document, number, table, values, steps, later)
    data, data_file = _data(document)
    return Recipe(
        title=content.get("title", document.path.stem),
        header={key: content[key].strip() for key in _HEADER if key in content},
        decisions=tuple(content.get("decisions", ())),
        data=data,
        data_file=data_file,
        values=values,
        overrides=tuple(overrides),
        steps=tuple(steps),
        expected=tuple(
            _expected(document, number, table, values)
            for number, table in enumerate(content.get("expected", ()))
        ),
        document=document,
    )


def _check(document: Document, table: Mapping[str, Any], form: Mapping[str, str], at: Key) -> None:
    """Refuse keys and types that a table does not have."""
    for key, value in table.items():
        place = (*at, key)
        if key not in form:
            raise document.error(place, f"'{key}' is not known{suggestion(key, list(form))}")
        kind = form[key]
        if kind in _KINDS:
            right = isinstance(value, _KINDS[kind]) and not isinstance(value, bool)
        elif kind == _TRUTH:
            right = isinstance(value, bool)
        elif kind == _TEXTS:
            right = isinstance(value, list) and all(isinstance(one, str) for one in value)
        elif kind == _TABLES:
            right = isinstance(value, list) and all(isinstance(one, dict) for one in value)
            kind = f"written as [[{key}]] with keys below it"
        else:
            right = True
        if not right:
            raise document.error(place, f"{key} must be {kind}")


def _check_plain(document: Document, value: object, values: Mapping[str, Any], at: Key) -> None:
    """Refuse a value of [set] that names another: what stands for what would go in circles."""
    for text in value if isinstance(value, list) else [value]:
        for name in IN_BRACES.findall(text) if isinstance(text, str) else ():
            if name in values:
                raise document.error(
                    at, f"'{at[-1]}' names {{{name}}}: values of [set] cannot name each other"
                )


def _check_each(document: Document, each: object, values: Mapping[str, Any], at: Key) -> None:
    """Refuse names in ``each`` that stand for nothing."""
    for value in [each, *(each.values() if isinstance(each, dict) else ())]:
        match = IN_BRACES.fullmatch(value) if isinstance(value, str) else None
        if match and match[1] not in values:
            found = suggestion(match[1], list(values))
            raise document.error(at, f"[set] has no {{{match[1]}}}{found}")


def _data(document: Document) -> tuple[dict[str, str], Path]:
    """Read what is said about the data, in the recipe or beside it, and which of the two it is."""
    beside = document.path.parent / DATA_FILE
    table: Mapping[str, Any] = document.content.get("data", {})
    at: Key = ("data",)
    if beside.exists():
        if table:
            raise document.error(at, f"{beside.name} beside the recipe says this too; keep one")
        document = Document.read(beside)
        table, at = document.content, ()
    _check(document, table, dict.fromkeys(_DATA, _TEXT), at)
    return {key: table[key].strip() for key in _DATA if key in table}, document.path


def _name(document: Document, tables: Sequence[dict[str, Any]]) -> None:
    """Give steps without a name that of their command, numbered where there are several."""
    taken: list[str] = []
    for number, table in enumerate(tables):
        name = table.get("name")
        if name is None:
            before = sum(other["run"] == table["run"] for other in tables[:number])
            name = table["run"] if not before else f"{table['run']}-{before + 1}"
        place: Key = ("step", number, "name")
        if name in taken:
            raise document.error(place, f"two steps are called '{name}'; give each a name")
        if not IN_BRACES.fullmatch(f"{{{name}}}") or "." in name:
            raise document.error(place, f"'{name}': a name has letters, digits, '-' and '_' alone")
        taken.append(name)
        table["name"] = name


def _override(
    document: Document, text: str, values: dict[str, Any], tables: Sequence[dict[str, Any]]
) -> None:
    name, sign, given = text.partition("=")
    if not sign or not name:
        raise RecipeError(f"--set {text}: write NAME=VALUE or STEP.OPTION=VALUE")
    step, dot, option = name.partition(".")
    if dot:
        found = [table for table in tables if table["name"] == step]
        if not found:
            known = [table["name"] for table in tables]
            raise RecipeError(f"--set {text}: no step is called '{step}'{suggestion(step, known)}")
        found[0]["options"] = {**found[0].get("options", {}), option: _value(given)}
        return
    if name not in values:
        raise RecipeError(
            f"--set {text}: the recipe sets no '{name}'"
            f"{suggestion(name, list(values))} (an option is set by STEP.OPTION=VALUE)"
        )
    old = values[name]
    new: Any = given if isinstance(old, str) else _value(given)
    kinds = (int, float) if isinstance(old, float) else type(old)
    if not isinstance(new, kinds) or isinstance(new, bool) != isinstance(old, bool):
        raise RecipeError(f"--set {text}: '{name}' is {_words_of(old)} in {document.path}")
    values[name] = new


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _words_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    words = {int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return words.get(type(value), "something else")


def _steps(
    document: Document,
    number: int,
    table: Mapping[str, Any],
    values: Mapping[str, Any],
    before: Sequence[Step],
    later: Sequence[str],
) -> list[Step]:
    """Make the steps of one ``[[step]]``: one, or one for each value."""
    outputs: dict[str, tuple[str, ...]] = {}
    for step in before:
        outputs[step.group] = (*outputs.get(step.group, ()), step.output)

    def failing(*keys: str) -> Fail:
        return lambda message: document.error(("step", number, *keys), message)

    for text in _texts(table):
        for name in IN_BRACES.findall(text):
            if name.startswith("step.") and (other := name.removeprefix("step.")) in later:
                makes = "makes itself" if other == table["name"] else "a later step makes"
                raise document.error(
                    ("step", number),
                    f"step {table['name']} reads {{{name}}}, which {makes}: a step can read what"
                    " those before it make",
                )

    steps = []
    for label, own in _each(table.get("each"), values, failing("each")):
        known = {**values, **own}
        options = {
            key: tuple(fill(value, known, outputs, failing("options", key)))
            for key, value in table.get("options", {}).items()
        }
        # An empty list gives an option no value: it is left out.
        options = {key: found for key, found in options.items() if found}
        arguments = fill(table.get("arguments", []), known, outputs, failing("arguments"))
        if any(isinstance(word, bool) for word in arguments):
            raise failing("arguments")("true and false are neither text nor number")
        # Else files could be written of which nobody is told.
        odd = next((word for word in arguments if str(word).startswith("-")), None)
        if odd is not None:
            raise failing("arguments")(f"'{odd}' is an option: write it under options")
        steps.append(
            Step(
                name=f"{table['name']}[{label}]" if label else table["name"],
                group=table["name"],
                run=table["run"],
                arguments=tuple(str(word) for word in arguments),
                options=options,
                output=fill_text(table["output"], known, failing("output")),
                needs=tuple(
                    str(word)
                    for word in fill(table.get("needs", []), known, outputs, failing("needs"))
                ),
                index=number,
            )
        )
    return steps


def _texts(table: Mapping[str, Any]) -> list[str]:
    """List the texts of a step in which names may stand."""
    found = [*table.get("arguments", ()), *table.get("needs", ()), table["output"]]
    for value in table.get("options", {}).values():
        found += value if isinstance(value, list) else [value]
    return [text for text in found if isinstance(text, str)]


def _each(each: object, values: Mapping[str, Any], fail: Fail) -> list[tuple[str, dict[str, Any]]]:
    """List what a step is made for: a label and its values."""
    if each is None:
        return [("", {})]
    for value in [each, *(each.values() if isinstance(each, dict) else ())]:
        if _variable(value, values) == []:
            named = f", '{value}'," if isinstance(value, str) else ""
            raise fail(f"a list of each{named} is empty: give it an entry at least")
    each = _variable(each, values)
    if isinstance(each, dict):
        lists = [
            found
            for value in each.values()
            if isinstance(found := _variable(value, values), list) and found
        ]
        if each and len(lists) == len(each):
            rows = [dict(zip(each, row, strict=True)) for row in product(*lists)]
            return [(",".join(f"{key}={row[key]}" for key in row), row) for row in rows]
    elif isinstance(each, list) and each and all(isinstance(one, dict) and one for one in each):
        labels = [str(row.get("name", ",".join(map(str, row.values())))) for row in each]
        if len(set(labels)) == len(labels):
            return list(zip(labels, each, strict=True))
        raise fail("two entries of each have one name")
    raise fail(
        'each is a table of lists, { seed = [1, 2] }, or a list of tables, [{ name = "a" }, …]'
    )


def _variable(value: object, values: Mapping[str, Any]) -> object:
    """Return what ``{name}`` stands for; anything else as it is."""
    match = IN_BRACES.fullmatch(value) if isinstance(value, str) else None
    return values.get(match[1], value) if match else value


def _expected(
    document: Document, number: int, table: Mapping[str, Any], values: Mapping[str, Any]
) -> Expected:
    at: Key = ("expected", number)
    _check(document, table, _EXPECTED, at)
    for key in ("of", "score", "file", "key"):
        if key not in table:
            raise document.error(at, f"what is expected needs of, score, file and key: no {key}")
    return Expected(
        table=table.get("table", ""),
        of=table["of"],
        score=table["score"],
        published=table.get("published"),
        file=fill_text(table["file"], values, lambda text: document.error((*at, "file"), text)),
        key=table["key"],
        headline=table.get("headline", False),
        index=number,
    )
