"""The ~ escapes of an interactive session."""

from __future__ import annotations

import pytest

from trio_ssh.cli.escapes import Escape, EscapeFilter


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (b"ls\r", [b"ls\r"]),
        (b"~.", [Escape.TERMINATE]),
        (b"ls\r~?x", [b"ls\r", Escape.HELP, b"x"]),
        (b"~R~R", [Escape.REKEY, Escape.REKEY]),
        (b"a~.", [b"a~."]),
        (b"~~.", [b"~."]),
        (b"~a~.", [b"~a~."]),
        (b"~\r~.", [b"~\r", Escape.TERMINATE]),
        (b"x\n~.", [b"x\n", Escape.TERMINATE]),
        (b"~", []),
        (b"", []),
    ],
)
def test_escapes(typed, found):
    assert EscapeFilter().feed(typed) == found
    one_by_one = EscapeFilter()
    pieces = [piece for byte in typed for piece in one_by_one.feed(bytes([byte]))]
    assert [p for p in pieces if isinstance(p, Escape)] == [p for p in found if isinstance(p, Escape)]
    assert b"".join(p for p in pieces if isinstance(p, bytes)) == b"".join(p for p in found if isinstance(p, bytes))
