"""Lists of algorithms as ssh_config(5) writes them: exact, or a change of the default by ``^``, ``+`` or ``-``, with wildcards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .. import Algorithms
from ..errors import printable
from ..wire.patterns import matches_pattern

_WILD = frozenset("*?")


def choose_algorithms(kind: str, text: str, default: Sequence[str], supported: Sequence[str], *, lenient: bool = False) -> tuple[str, ...]:
    """The algorithms that `text` names, most wanted first.

    ``a,b`` are exactly these, ``+a,b`` the default and then these, ``-a,b`` the default without these, ``^a,b`` these and then the
    default. A name may hold ``*`` and ``?``; one that is taken away need not exist, a `lenient` list may name others that do not. Raises
    `ValueError`.
    """
    operator = text[:1] if text[:1] in ("+", "-", "^") else ""
    patterns = text.removeprefix(operator).split(",")
    if operator == "-":
        chosen = [name for name in default if not any(matches_pattern(name, pattern) for pattern in patterns)]
    else:
        named = [name for pattern in patterns for name in _expand(kind, pattern, supported, lenient)]
        chosen = {"+": [*default, *named], "^": [*named, *default], "": named}[operator]
    if not chosen:
        raise ValueError(f"'{printable(text, 200)}' leaves no {kind}")
    return tuple(dict.fromkeys(chosen))


def _expand(kind: str, pattern: str, supported: Sequence[str], lenient: bool) -> Iterable[str]:
    found = [name for name in supported if matches_pattern(name, pattern)] if _WILD & set(pattern) else [pattern]
    if not found or not set(found) <= set(supported):
        if lenient:
            return ()
        raise ValueError(f"there is no {kind} '{printable(pattern, 200)}'; there are {','.join(supported)}")
    return found


def algorithm_list(
    kind: str, choose: Callable[[Algorithms], tuple[str, ...]], default: Sequence[str], *, lenient: bool = False
) -> Callable[[str], tuple[str, ...]]:
    """A parser for the lists of one kind; `choose` takes its list out of all that is supported when a line is parsed."""
    return lambda word: choose_algorithms(kind, word, default, choose(Algorithms.everything()), lenient=lenient)
