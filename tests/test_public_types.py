"""Whatever is public says its types, so that nobody's checker meets an unknown one (PAIN 26)."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import attrs
import pytest

import trio_ssh

ROOMS = ("trio_ssh", "trio_ssh.keys", "trio_ssh.agent", "trio_ssh.config", "trio_ssh.testing")
UNKNOWN = {"Any"}
BY_HAND = frozenset({"__call__", "__aenter__", "__aexit__", "__aiter__", "__anext__"})


def public_things(room: ModuleType) -> dict[str, object]:
    names = getattr(room, "__all__", None) or [name for name in vars(room) if not name.startswith("_")]
    return {name: getattr(room, name) for name in names}


def functions_of(thing: object) -> Iterator[object]:
    """The function itself, or every public method and property of a class of ours."""
    members = list(vars(thing).values()) if isinstance(thing, type) else [thing]
    for member in members:
        function = getattr(member, "__func__", member.fget if isinstance(member, property) else member)
        if inspect.isfunction(function) and (function.__module__ or "").startswith("trio_ssh"):  # attrs makes some of no module
            name = function.__name__
            if not name.startswith("_") or name in BY_HAND:
                yield function


def words(hint: object) -> set[str]:
    return set(re.findall(r"\w+", str(hint)))


@pytest.mark.parametrize("name", ROOMS)
def test_pain_26_functions_and_methods(name):
    room = importlib.import_module(name)
    found = 0
    for thing in public_things(room).values():
        for function in functions_of(thing):
            assert inspect.isfunction(function)
            hints = function.__annotations__
            parameters = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
            assert set(hints) == {*parameters, "return"}, function.__qualname__
            said = set().union(*map(words, hints.values()))
            assert not UNKNOWN & said, f"{function.__qualname__}: {hints}"
            found += 1
    assert found > 5


@pytest.mark.parametrize("name", ROOMS)
def test_pain_26_fields_of_values(name):
    room = importlib.import_module(name)
    for thing in public_things(room).values():
        if isinstance(thing, type) and attrs.has(thing) and thing.__module__.startswith("trio_ssh"):
            for field in attrs.fields(thing):
                assert field.type is not None, f"{thing.__qualname__}.{field.name}"
                assert field.name.startswith("_") or not UNKNOWN & words(field.type), f"{thing.__qualname__}.{field.name}"


def test_pain_26_checkers_are_told_that_there_are_types():
    assert Path(trio_ssh.__file__).with_name("py.typed").is_file()
