"""A recipe as a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.recipe.lines import Document, Key

PLACES = ("data", "out", "recipe")
"""Folders that texts of a recipe name in braces."""
IN_BRACES = re.compile(r"\{([A-Za-z][\w.-]*)\}")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the folders of a recipe are."""

    data: Path
    """Folder of the data."""
    out: Path
    """Folder of the results."""
    recipe: Path
    """Folder of the recipe."""

    def fill(self, text: str) -> str:
        """Put folders where a text names them."""
        for name in PLACES:
            text = text.replace(f"{{{name}}}", str(getattr(self, name)))
        return text


def names_place(text: str) -> bool:
    """Whether a text names a folder of the recipe, and so is a path."""
    return any(f"{{{name}}}" in text for name in PLACES)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command with its words; texts still name the folders in braces."""

    name: str
    """Its name, that of a step for each value ends in ``[value]``."""
    group: str
    """Its name without that."""
    run: str
    """Name of the command."""
    arguments: tuple[str, ...]
    """What follows the name."""
    options: Mapping[str, tuple[str | bool, ...]]
    """Values of each option, several where it is repeated; True for a flag, False for none."""
    output: str
    """What the step makes."""
    needs: tuple[str, ...]
    """Paths that it depends on besides those that its words name."""
    index: int
    """Which ``[[step]]`` of the file it is of, from 0."""

    def words(self) -> tuple[str, ...]:
        """Return what follows the command's name on the command line."""
        words = list(self.arguments)
        for key, values in self.options.items():
            for value in values:
                if value is True:
                    words.append(f"--{key}")
                elif value is not False:
                    words += [f"--{key}", str(value)]
        return (*words, "--output", self.output)

    def place(self, *keys: str) -> Key:
        """Place in the file, for errors."""
        return ("step", self.index, *keys)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A number of the paper, and where ours is found."""

    table: str
    """Table that it stands in; may be empty."""
    of: str
    """What it is of: the row of the table."""
    score: str
    """What it is: the column."""
    published: float | None
    """The paper's number; None where it gives none."""
    file: str
    """JSON file of ours."""
    key: str
    """Place in it, see `geoseg.recipe.results.find`."""
    headline: bool
    """Whether it is the number to look at first."""
    index: int
    """Which ``[[expected]]`` of the file it is, from 0."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Steps in their order, and what is to be known about them."""

    title: str
    """For people."""
    header: Mapping[str, str]
    """Paper, command, hardware, time: texts by name."""
    decisions: tuple[str, ...]
    """What the paper leaves open, and what was chosen."""
    data: Mapping[str, str]
    """Source, layout, licence and so on of the data: texts by name."""
    data_file: Path
    """The file that says so."""
    values: Mapping[str, Any]
    """What ``[set]`` and the overrides say."""
    overrides: tuple[str, ...]
    """What was overridden, as it was given."""
    steps: tuple[Step, ...]
    """What to run."""
    expected: tuple[Expected, ...]
    """What should come out."""
    document: Document
    """The file."""
