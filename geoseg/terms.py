"""The small language in which options name things with arguments.

::

    call     = name [ "(" [ argument { "," argument } ] ")" ]
    argument = name "=" value
    value    = number | "true" | "false" | word | "[" [ value { "," value } ] "]"
    list     = call { "," call }                     flips, rot90, noise(sigma=0.1)
    sum      = term { "+" term }                     0.5*ce + 0.5*focal(gamma=2)
    term     = [ number "*" ] call

Names and words are letters, digits, hyphens and underscores. Nothing is ever evaluated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from geoseg.errors import OptionError

Value = bool | int | float | str | tuple["Value", ...]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]*(?:[-_][A-Za-z0-9]+)*)|(?P<sign>[()\[\],=*+]))"
)


@dataclass(frozen=True)
class Call:
    """A name and its arguments."""

    name: str
    arguments: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        if not self.arguments:
            return self.name
        return f"{self.name}({', '.join(f'{k}={_text(v)}' for k, v in self.arguments.items())})"


@dataclass(frozen=True)
class Term:
    """A call and what it is multiplied by."""

    scale: float
    call: Call

    def __str__(self) -> str:
        return str(self.call) if self.scale == 1 else f"{self.scale:g}*{self.call}"


def parse_call(text: str, *, option: str) -> Call:
    """Parse one call; `option` names the source in messages.

    Raises
    ------
    OptionError
        The text is none; the message says where.
    """
    parser = _Parser(text, option)
    call = parser.call()
    parser.end()
    return call


def parse_list(text: str, *, option: str) -> tuple[Call, ...]:
    """Parse calls separated by commas; ``none`` and nothing at all are the empty list.

    Raises
    ------
    OptionError
        The text is none; the message says where.
    """
    if text.strip() in {"", "none"}:
        return ()
    parser = _Parser(text, option)
    calls = [parser.call()]
    while parser.take(","):
        calls.append(parser.call())
    parser.end()
    return tuple(calls)


def parse_sum(text: str, *, option: str) -> tuple[Term, ...]:
    """Parse a sum of scaled calls.

    Raises
    ------
    OptionError
        The text is none, or a scale is not above 0; the message says where.
    """
    parser = _Parser(text, option)
    terms = [parser.term()]
    while parser.take("+"):
        terms.append(parser.term())
    parser.end()
    return tuple(terms)


def parse_value(text: str) -> Value:
    """Read an argument as it stands behind ``key=`` on a command line.

    A comma makes a tuple (``24,48,96``); what is neither number nor truth value is text.
    """
    if "," in text:
        return tuple(parse_value(part.strip()) for part in text.split(",") if part.strip())
    match = _TOKEN.fullmatch(text)
    if match and match["number"]:
        return _number(match["number"])
    return {"true": True, "false": False}.get(text.lower(), text)


def number(
    name: str, value: object, *, minimum: float = -math.inf, maximum: float = math.inf
) -> float:
    """Check an argument that must be a number; `name` names it in the message.

    Raises
    ------
    OptionError
        It is none, not finite, or not within the bounds (both allowed).
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise OptionError(f"{name} must be a number, not {value!r}")
    if not minimum <= value <= maximum:
        raise OptionError(f"{name} must be from {minimum:g} to {maximum:g}, not {value:g}")
    return float(value)


class _Parser:
    def __init__(self, text: str, option: str) -> None:
        self._source = f'{option} "{text}"'
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise OptionError(f"{self._source}: cannot read {text[at:].strip()[:20]!r}")
            kind = match.lastgroup or ""
            word = match[kind]
            # "a+2*b": the sign belongs to the sum, not to the number.
            if kind == "number" and word[0] == "+":
                kind, word = "sign", "+"
                at = match.start("number") + 1
            else:
                at = match.end()
            self._tokens.append((kind, word))
        self._at = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _fail(self, wanted: str) -> OptionError:
        _, word = self._peek()
        where = f"before {word!r}" if word else "at the end"
        return OptionError(f"{self._source}: {wanted} is missing {where}")

    def take(self, sign: str) -> bool:
        if self._peek() == ("sign", sign):
            self._at += 1
            return True
        return False

    def end(self) -> None:
        kind, word = self._peek()
        if kind != "end":
            raise OptionError(f"{self._source}: {word!r} makes no sense there")

    def _take_kind(self, kind: str, wanted: str) -> str:
        found, word = self._peek()
        if found != kind:
            raise self._fail(wanted)
        self._at += 1
        return word

    def term(self) -> Term:
        scale = 1.0
        if self._peek()[0] == "number":
            scale = float(self._take_kind("number", "a number"))
            if not 0 < scale < math.inf:
                raise OptionError(f"{self._source}: a term's factor must be above 0, not {scale:g}")
            if not self.take("*"):
                raise self._fail("'*'")
        return Term(scale, self.call())

    def call(self) -> Call:
        name = self._take_kind("name", "a name")
        arguments: dict[str, Value] = {}
        if self.take("(") and not self.take(")"):
            self._argument(arguments)
            while self.take(","):
                self._argument(arguments)
            if not self.take(")"):
                raise self._fail("')'")
        return Call(name, MappingProxyType(arguments))

    def _argument(self, arguments: dict[str, Value]) -> None:
        key = self._take_kind("name", "an argument's name")
        if not self.take("="):
            raise self._fail("'='")
        if key in arguments:
            raise OptionError(f"{self._source}: {key!r} is given twice")
        arguments[key] = self._value()

    def _value(self) -> Value:
        kind, word = self._peek()
        if kind == "number":
            self._at += 1
            return _number(word)
        if kind == "name":
            self._at += 1
            return {"true": True, "false": False}.get(word, word)
        if not self.take("["):
            raise self._fail("a value")
        values: list[Value] = []
        if not self.take("]"):
            values.append(self._value())
            while self.take(","):
                values.append(self._value())
            if not self.take("]"):
                raise self._fail("']'")
        return tuple(values)


def _number(word: str) -> int | float:
    return int(word) if word.lstrip("-+").isdigit() else float(word)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)
