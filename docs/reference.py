"""Pages made of the code: a command from its help, a function from its docstring.

Knows nothing of mkdocs, so that tests can ask it without.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

import geoseg
from geoseg.cli import geoseg as program

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"
RESULTS = ROOT / "benchmarks" / "results"

_SECTION = re.compile(r"^(\w[\w ]*)\n-+$", re.MULTILINE)


def commands() -> list[str]:
    """Names of all commands, in the order in which pixels travel."""
    return program.list_commands(click.Context(program))


def functions() -> list[str]:
    """Names of all functions of the package."""
    return sorted(name for name in geoseg.__all__ if not name.startswith("_"))


def example(name: str) -> str:
    """Return the example of a command that the tests run; FileNotFoundError where it has none."""
    return (EXAMPLES / f"{name}.sh").read_text(encoding="utf-8").strip()


def readme_block(mark: str) -> str:
    """Return the one Python block of the README that holds a text."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if mark in b]
    return block


def command_page(name: str) -> str:
    """Write the page of a command from its help."""
    parent = click.Context(program, info_name="geoseg")
    command = program.get_command(parent, name)
    if command is None or not command.help:
        raise ValueError(f"the command {name} has no help")
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"# geoseg {name}", "", *_help(command.help), ""]
    lines += ["## Usage", "", "```sh", f"geoseg {name} {usage}", "```", ""]
    lines += [
        "## An example that runs",
        "",
        "In the folder that `python docs/examples/inputs.py FOLDER` makes; the tests run it.",
        "",
        "```sh",
        example(name),
        "```",
        "",
        "## Options",
        "",
    ]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            lines += [f"`{record[0]}`", f":   {_plain(record[1])}", ""]
    if name in functions():
        lines += [
            "## In Python",
            "",
            f"[`geoseg.{name}`](../python.md#geoseg-{name}) does the same.",
            "",
        ]
    return "\n".join(lines)


def commands_index() -> str:
    """Write the page that lists the commands."""
    lines = [
        "# Commands",
        "",
        "Every command writes its outputs whole or not at all, refuses to replace what is there"
        " without `--overwrite`, and says what went wrong in one line. It ends with 0 when it is"
        " done, 1 when it failed, 2 for wrong usage, 130 when it was interrupted.",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    parent = click.Context(program, info_name="geoseg")
    for name in commands():
        command = program.get_command(parent, name)
        if command is None or not command.help:
            raise ValueError(f"the command {name} has no help")
        first = " ".join(command.help.split("\n\n")[0].split())
        lines.append(f"| [geoseg {name}]({name}.md) | {_plain(first)} |")
    return "\n".join([*lines, ""])


def function_sections() -> str:
    """Write a section for every function, from its signature and docstring."""
    lines = []
    for name in functions():
        function = getattr(geoseg, name)
        lines += [f"## geoseg.{name} {{ #geoseg-{name} }}", "", "```python", _signature(function)]
        lines += ["```", "", *_docstring(inspect.getdoc(function) or ""), ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Keep text from being taken for markup, but for what stands in backticks."""

    def kept(part: str) -> str:
        if part.startswith("`"):
            return part
        part = part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return re.sub(r"([*_|\[\]\\])", r"\\\1", part)

    return "".join(kept(part) for part in re.split(r"(`[^`]+`)", text))


def _help(text: str) -> Iterator[str]:
    """Turn a command's help into paragraphs and blocks of code."""
    for part in inspect.cleandoc(text).split("\n\n"):
        if not part.startswith("\b"):
            yield from (_plain(" ".join(part.split())), "")
            continue
        rows = part.removeprefix("\b").strip("\n").splitlines()
        code = [row for row in rows if row.startswith("  ")]
        if not code:
            code = rows
        yield from (_plain(row) for row in rows if row not in code)
        yield from ("", "```sh", *textwrap.dedent("\n".join(code)).splitlines(), "```", "")


def _signature(function: object) -> str:
    """Write a signature, a parameter a line."""
    if not callable(function):
        raise TypeError(f"{function!r} is no function")
    signature = inspect.signature(function)
    rows: list[str] = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            rows.append("*")
            star = True
        annotation = str(parameter.annotation)
        text = f"{parameter.name}: {annotation}"
        if parameter.kind is parameter.VAR_KEYWORD:
            text = f"**{text}"
        elif parameter.default is not parameter.empty:
            text += f" = {parameter.default!r}"
        rows.append(text)
    inside = "".join(f"    {row},\n" for row in rows)
    return f"geoseg.{function.__name__}(\n{inside}) -> {signature.return_annotation}"


def _docstring(text: str) -> Iterator[str]:
    """Turn a docstring in numpy's form into Markdown."""
    parts = _SECTION.split(text)
    yield _marked(parts[0].strip())
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        yield from ("", f"**{title}**", "")
        if title == "Returns":
            yield _marked(textwrap.dedent(body).strip())
            continue
        for line in body.strip("\n").splitlines():
            if line and not line.startswith(" "):
                yield from ("", ", ".join(f"`{word.strip()}`" for word in line.split(",")))
                lead = ":   "
            elif line:
                yield lead + _marked(line.strip())
                lead = "    "


def _marked(text: str) -> str:
    """Code in double backticks is code in single ones here; names in single ones stay."""
    return re.sub(r"``(.+?)``", r"`\1`", text)
