"""On which line of a TOML file a key stands; the reader of the standard library does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from geoseg.errors import RecipeError

_MOST_BYTES = 4 << 20
Key = tuple[str | int, ...]
"""A place in a document: names of keys, numbers in lists of tables (from 0)."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A TOML file with its lines."""

    path: Path
    """The file."""
    content: Mapping[str, Any]
    """What it says."""
    lines: Mapping[Key, int] = field(repr=False)
    """Lines, from 1, of the keys that begin one."""

    @classmethod
    def read(cls, path: str | Path) -> Document:
        """Read a file.

        Raises
        ------
        RecipeError
            It is missing or no TOML.
        """
        try:
            with Path(path).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise RecipeError(f"{path} is too large for a recipe; check the path")
            text = data.decode("utf-8").replace("\r\n", "\n")
            content = tomllib.loads(text)
        except OSError as error:
            raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise RecipeError(
                f"{path}, line {line}: not in UTF-8; save the file as UTF-8"
            ) from error
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(_no_toml(path, str(error))) from error
        except (RecursionError, ValueError) as error:
            # Nested, or a number, beyond what Python reads; or a path that is none.
            raise RecipeError(f"{path} is no TOML that can be read; check the file") from error
        return cls(path=Path(path), content=content, lines=_Scanner(text).lines)

    def line(self, key: Key) -> int:
        """Line of a key, or of the nearest one that it stands in."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def error(self, key: Key, message: str) -> RecipeError:
        """Return an error that says where it is."""
        return RecipeError(f"{self.path}, line {self.line(key)}: {message}")


def suggestion(word: str, known: list[str]) -> str:
    """End a message about an unknown word: what was meant, or what there is."""
    near = get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; there are {', '.join(known)}" if known else ""


def _no_toml(path: str | Path, said: str) -> str:
    """Put the line that the reader of the standard library names at its end where ours stand."""
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", said, re.DOTALL)
    if match is None:
        return f"{path} is no TOML: {said}"
    return f"{path}, line {match[2]}: no TOML from column {match[3]} on: {match[1]}"


class _Scanner:
    """Walks over the statements of a text that is known to be TOML."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines: dict[Key, int] = {}
        self.counts: dict[Key, int] = {}
        table: Key = ()
        while self._skip_blank():
            line = text.count("\n", 0, self.at) + 1
            if text[self.at] == "[":
                table = self._header()
                self.lines.setdefault(table, line)
            else:
                key = (*table, *self._key("="))
                self._value()
                for length in range(len(table) + 1, len(key) + 1):
                    self.lines.setdefault(key[:length], line)

    def _skip_blank(self) -> bool:
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self._to_line_end()
            elif self.text[self.at].isspace():
                self.at += 1
            else:
                return True
        return False

    def _to_line_end(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _header(self) -> Key:
        is_list = self.text.startswith("[[", self.at)
        self.at += 1 + is_list
        names = self._key("]")
        self._to_line_end()
        place: Key = ()
        for name in names[:-1]:
            place = self._latest((*place, name))
        place = (*place, names[-1])
        if is_list:
            self.counts[place] = self.counts.get(place, 0) + 1
        return self._latest(place)

    def _latest(self, place: Key) -> Key:
        return (*place, self.counts[place] - 1) if place in self.counts else place

    def _key(self, end: str) -> Key:
        """Read a dotted key up to a sign outside of quotes, and step over the sign."""
        start = self.at
        while self.text[self.at] != end:
            self.at = self._string_end() if self.text[self.at] in "\"'" else self.at + 1
        inner: Any = tomllib.loads(f"{self.text[start : self.at]} = 0")
        self.at += 1
        names: list[str] = []
        while isinstance(inner, dict):
            names += list(inner)
            inner = inner[names[-1]]
        return tuple(names)

    def _value(self) -> None:
        depth = 0
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign == "\n" and depth == 0:
                return
            if sign == "#":
                self._to_line_end()
            elif sign in "\"'":
                self.at = self._string_end()
            else:
                depth += (sign in "[{") - (sign in "]}")
                self.at += 1

    def _string_end(self) -> int:
        """Return the place behind the string that begins here."""
        quote = self.text[self.at]
        marks = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        at = self.at + len(marks)
        while not self.text.startswith(marks, at):
            at += 2 if quote == '"' and self.text[at] == "\\" else 1
        at += len(marks)
        # A long string may end in one or two quotes of its own.
        while len(marks) == 3 and self.text.startswith(quote, at):
            at += 1
        return at
