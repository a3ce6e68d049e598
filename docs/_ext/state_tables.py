"""Directives that draw the protocol's tables from the code, so that the pictures cannot say anything else.

``.. phases-table:: client`` (or ``server``): for each phase, which messages are legal and who gets them (`trio_ssh.protocol.phases.TABLE`).
``.. channel-table::``: for each pair of channel sides, what happens with each message (`trio_ssh.protocol.channel_state.JOINT`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

from trio_ssh.protocol.channel_state import JOINT, Side, Verdict
from trio_ssh.protocol.phases import TABLE, Phase, Route
from trio_ssh.protocol.role import Role
from trio_ssh.wire.numbers import MessageNumber


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted numbers as runs (first, last)."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def words(numbers: Iterable[int]) -> str:
    """Message numbers by name where they have one, else as ranges: ``KEXINIT (20), 54-59``."""
    numbers = set(numbers)
    named = {int(m): m.name for m in MessageNumber}
    runs = ranges(numbers)
    parts: list[str] = []
    for first, last in runs:
        inside = [n for n in range(first, last + 1) if n in named]
        if len(inside) == last - first + 1:
            parts += [f"{named[n]} ({n})" for n in inside]
        else:
            span = f"{first}-{last}" if last > first else str(first)
            parts.append(f"{span} (with {', '.join(named[n] for n in inside)})" if inside else span)
    return ", ".join(parts)


def table(head: Sequence[str], widths: Sequence[int], rows: Iterable[Sequence[str]]) -> nodes.table:
    """A docutils table of plain text cells."""
    group = nodes.tgroup(cols=len(head))
    for width in widths:
        group += nodes.colspec(colwidth=width)
    group += nodes.thead("", _row(head))
    body = nodes.tbody()
    for row in rows:
        body += _row(row)
    group += body
    return nodes.table("", group)


def _row(cells: Sequence[str]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", nodes.paragraph(text=cell))
    return row


def by_value(row: dict[int, Any], order: Iterable[Enum]) -> list[tuple[Enum, str]]:
    """(value, the messages that have it) for each value that some message has."""
    return [(value, words(n for n in row if row[n] is value)) for value in order if value in row.values()]


class PhasesTable(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        role = Role(directives.choice(self.arguments[0], tuple(role.value for role in Role)))
        rows = [
            (phase.value if first else "", route.name.replace("_", " ").lower(), messages)
            for phase in Phase
            for first, (route, messages) in _marked(by_value(TABLE[role, phase], Route))
        ]
        return [table(("phase", "goes to", "messages received"), (30, 15, 55), rows)]


class ChannelTable(Directive):
    def run(self) -> list[nodes.Node]:
        rows = [
            (f"ours {ours.value}, theirs {theirs.value}" if first else "", verdict.value, messages)
            for ours in Side
            for theirs in Side
            if (found := by_value(JOINT[ours, theirs], Verdict))
            for first, (verdict, messages) in _marked(found)
        ]
        return [table(("sides", "verdict", "messages received"), (25, 15, 60), rows)]


def _marked(items: list[tuple[Enum, str]]) -> list[tuple[bool, tuple[Enum, str]]]:
    return [(number == 0, item) for number, item in enumerate(items)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("phases-table", PhasesTable)
    app.add_directive("channel-table", ChannelTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
