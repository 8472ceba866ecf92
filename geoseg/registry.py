"""Things chosen by name, each in a module that is imported when it is first asked for."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from geoseg.errors import GeosegError, OptionError

T = TypeVar("T", bound="Callable[..., Any]")

_NO_FAMILIES: Mapping[str, str] = MappingProxyType({})


class Registry(Generic[T]):
    """From a name to what makes the thing of that name.

    Parameters
    ----------
    kind
        What the things are, in the singular, for messages: "network", "loss".
    homes
        Name → module that registers it.
    families
        Pattern of a family of names (``smp:<architecture>/<encoder>``) → module that registers
        the family. What stands before the pattern's first colon names the family; what its
        members are called behind it, the family alone knows.
    given
        Parameters of the makers that are no options of a user, such as the number of classes.
    error
        Raised for an unknown name.
    """

    def __init__(
        self,
        kind: str,
        homes: Mapping[str, str],
        *,
        families: Mapping[str, str] = _NO_FAMILIES,
        given: Collection[str] = (),
        error: type[GeosegError] = OptionError,
    ) -> None:
        self.kind = kind
        self._homes = dict(homes)
        self._patterns = tuple(families)
        self._family_homes = {_prefix(pattern): home for pattern, home in families.items()}
        self._given = frozenset(given)
        self._error = error
        self._makers: dict[str, T] = {}
        self._families: dict[str, Callable[[str], T]] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Register the decorated maker under `name`.

        Raises
        ------
        OptionError
            Another one has that name.
        """

        def keep(maker: T) -> T:
            known = self._makers.get(name)
            if known is not None and _place(known) != _place(maker):
                raise OptionError(f"{self.kind} {name!r} is there twice")
            self._makers[name] = maker
            return maker

        return keep

    def register_family(self, prefix: str) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
        """Register what turns the part of a name behind ``prefix:`` into a maker.

        The decorated function raises the registry's error for a member that it does not know.
        """

        def keep(members: Callable[[str], T]) -> Callable[[str], T]:
            self._families[prefix] = members
            return members

        return keep

    def names(self) -> tuple[str, ...]:
        """All names but those of families, sorted. Imports nothing."""
        return tuple(sorted({*self._homes, *self._makers}))

    def patterns(self) -> tuple[str, ...]:
        """How the names of each family look, sorted. Imports nothing."""
        return tuple(sorted(self._patterns))

    def maker(self, name: str) -> T:
        """Return what makes the thing called `name`.

        Raises
        ------
        GeosegError
            Nothing is called so (of the type given at construction); the message lists what there
            is.
        """
        prefix = _prefix(name)
        if prefix in self._family_homes:
            importlib.import_module(self._family_homes[prefix])
            return self._families[prefix](name[len(prefix) + 1 :])
        if name not in self._makers and name in self._homes:
            importlib.import_module(self._homes[name])
        if name not in self._makers:
            near = difflib.get_close_matches(name, self.names(), n=1)
            guess = f" (did you mean {near[0]!r}?)" if near else ""
            there = ", ".join((*self.names(), *self.patterns()))
            raise self._error(f"no {self.kind} is called {name!r}{guess}; there are: {there}")
        return self._makers[name]

    def options(self, name: str) -> dict[str, Any]:
        """Name and default of every option of the thing called `name`."""
        parameters = inspect.signature(self.maker(name)).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in self._given}

    def check_options(self, name: str, options: Mapping[str, object]) -> None:
        """Check that the thing called `name` has options of these names.

        Raises
        ------
        OptionError
            It has no such option; the message lists those it has.
        """
        known = self.options(name)
        for key in options:
            if key not in known:
                has = ", ".join(known) or "none"
                raise OptionError(f"{self.kind} {name!r} has no option {key!r}; it has: {has}")
        for key, default in known.items():
            if default is inspect.Parameter.empty and key not in options:
                raise OptionError(f"{self.kind} {name!r} needs its option {key!r}")


def _prefix(name: str) -> str:
    """Return what stands before the first colon; nothing where there is none."""
    prefix, colon, _ = name.partition(":")
    return prefix if colon else ""


def _place(maker: Callable[..., Any]) -> tuple[str, str]:
    return maker.__module__, maker.__qualname__
