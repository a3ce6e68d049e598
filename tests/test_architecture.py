"""The layers, laws and sizes of the house, held against every file of the package; and the checker itself, held against small fakes."""

from __future__ import annotations

from pathlib import Path

import pytest

import trio_ssh
from tests.architecture import MAY_IMPORT, RULES, Fault, Rule, faults_of, read_package

PACKAGE = Path(trio_ssh.__file__).parent

# (rule, place) -> why it may stay. An entry that no fault needs any more fails the last test of this part.
ALLOWED: dict[tuple[str, str], str] = {
    ("class-width", "protocol.sealer:Sealer"): "hot path: every counter is one attribute away, a second object costs a look-up a packet",
    ("class-width", "protocol.opener:Opener"): "hot path, likewise",
    ("class-width", "protocol.limits:Limits"): "a value without behaviour: every bound of the package has its name here",
}


def _faults(rules: tuple[Rule, ...] = RULES) -> list[Fault]:
    return faults_of(read_package(PACKAGE), "trio_ssh", rules)


CASES = {
    "async_protocol": "tri_03-async_protocol",
    "awaited_sealing": "tri_03-awaited_sealing",
    "swallowed_cancellations": "tri_08-swallowed_cancellations",
    "unbounded_queues": "tri_10-unbounded_queues",
    "clock_calls": "tri_25-clock_calls",
    "foreign_imports": "tri_25-foreign_imports",
    "trio_at_import": "tri_29-trio_at_import",
}
"""Rules that are cases of the hardening list."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: CASES.get(rule.__name__, rule.__name__))
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    faults = [str(fault) for fault in _faults((rule,)) if (fault.rule, fault.where) not in ALLOWED]
    assert not faults, "\n".join(faults)


def test_every_allowance_is_needed_and_has_a_reason() -> None:
    assert set(ALLOWED) <= {(fault.rule, fault.where) for fault in _faults()}
    assert all(ALLOWED.values())


def test_the_package_was_read() -> None:
    modules = {source.module for source in read_package(PACKAGE)}
    assert {"__init__", "errors", "wire", "wire.primitives", "wire.codec"} <= modules


def test_the_layers_table_itself_has_no_circle() -> None:
    """`testing` and what may use it stand aside: it may import anything, and only tools and tests import it."""
    table = {room: below - {"testing"} for room, below in MAY_IMPORT.items() if room != "testing"}
    while table:
        lowest = [room for room, below in table.items() if not below & set(table)]
        assert lowest, table
        for room in lowest:
            del table[room]


# --- the checker on fakes --------------------------------------------------------------------------------------------------------------


def _check(folder: Path, files: dict[str, str]) -> list[tuple[str, str]]:
    """Writes a small package named `fake` and returns (rule, place) of each fault."""
    for name, text in files.items():
        path = folder / "fake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [(fault.rule, fault.where) for fault in faults_of(read_package(folder / "fake"), "fake")]


CLEAN: dict[str, dict[str, str]] = {
    "an empty package": {"__init__.py": ""},
    "one layer down": {"protocol/a.py": "from ..wire.b import c", "wire/b.py": "c = 1"},
    "down, absolute": {"protocol/a.py": "import fake.wire.b", "wire/b.py": "c = 1"},
    "keys may use crypto": {"keys/a.py": "from ..crypto import b", "crypto/b.py": ""},
    "the same room, a private name": {"wire/a.py": "from .b import _c", "wire/b.py": "_c = 1"},
    "a package and its own module": {"wire/__init__.py": "from .b import c", "wire/b.py": "c = 1"},
    "trio from connection up": {"connection/a.py": "import trio", "client/a.py": "from trio.abc import Stream"},
    "cryptography in its layer": {"crypto/a.py": "from cryptography.hazmat.primitives import hmac", "keys/a.py": "import bcrypt"},
    "the standard library": {"wire/a.py": "import struct, enum", "connection/a.py": "import time\nx = time.monotonic"},
    "an application of the public names": {"__init__.py": "", "sftp/a.py": "import fake\nfrom ..errors import E", "errors.py": "E = 1"},
    "testing may do all": {"testing/a.py": "from ..connection import b", "connection/b.py": ""},
    "sealing by a plain function": {"connection/a.py": "async def f(x):\n    def g():\n        x.seal(1)\n    g()"},
    "cancellations that are passed on": {
        "connection/a.py": "try:\n    pass\nexcept PASSING:\n    raise\nexcept BaseException as e:\n    print(e)",
        "connection/b.py": "def f():\n    try:\n        pass\n    except trio.Cancelled:\n        g()\n        raise",
        "connection/c.py": "def f():\n    try:\n        pass\n    except Exception:\n        pass",
    },
    "things of trio's made when they are needed": {
        "connection/a.py": "import trio\nx = trio.lowlevel.RunVar('x')\ny: trio.Event\nz = lambda: trio.Event()",
        "connection/b.py": "import trio\ndef f():\n    return trio.Event()",
    },
    "a bounded channel": {"connection/a.py": "import trio\ndef f():\n    return trio.open_memory_channel[int](1)"},
    "randomness by argument": {"protocol/a.py": "import os\ndef f(draw=os.urandom):\n    return draw(4)"},
    "awaiting above protocol": {"connection/a.py": "async def f(x):\n    await x"},
    "exactly the limits": {
        "wire/a.py": "\n" * 400,
        "wire/b.py": "def f():\n" + "    x = 1\n" * 69,
        "wire/c.py": "class C:\n" + "".join(f"    a{n}: int\n" for n in range(15)),
    },
    "class variables and enum members are not attributes": {
        "wire/a.py": "class C:\n" + "".join(f"    a{n} = {n}\n    b{n}: ClassVar[int] = 1\n" for n in range(9)),
    },
}


@pytest.mark.parametrize("files", CLEAN.values(), ids=CLEAN.keys())
def test_what_is_allowed_is_no_fault(files: dict[str, str], tmp_path: Path) -> None:
    assert _check(tmp_path, files) == []


FAULTY: dict[str, tuple[dict[str, str], tuple[str, str]]] = {
    "upward": ({"wire/a.py": "from ..protocol.b import c", "protocol/b.py": "c = 1"}, ("layers", "wire.a")),
    "upward, absolute": ({"wire/a.py": "import fake.protocol.b", "protocol/b.py": ""}, ("layers", "wire.a")),
    "upward, a whole package": ({"wire/a.py": "from .. import protocol", "protocol/__init__.py": ""}, ("layers", "wire.a")),
    "upward, in an __init__": ({"wire/__init__.py": "from ..protocol import b", "protocol/b.py": ""}, ("layers", "wire")),
    "upward, for typing only": (
        {"wire/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..client import b", "client/b.py": ""},
        ("layers", "wire.a"),
    ),
    "upward, inside a function": ({"wire/a.py": "def f():\n    from ..client import b", "client/b.py": ""}, ("layers", "wire.a")),
    "errors import nothing": ({"errors.py": "from .wire import b", "wire/b.py": ""}, ("layers", "errors")),
    "sideways: crypto uses keys": ({"crypto/a.py": "from ..keys import b", "keys/b.py": ""}, ("layers", "crypto.a")),
    "sideways: client uses server": ({"client/a.py": "from ..server import b", "server/b.py": ""}, ("layers", "client.a")),
    "past the public names": ({"sftp/a.py": "from ..connection import b", "connection/b.py": ""}, ("layers", "sftp.a")),
    "a lower layer uses the public names": ({"client/a.py": "from .. import X", "__init__.py": ""}, ("layers", "client.a")),
    "another room's private name": ({"keys/a.py": "from ..crypto.b import _c", "crypto/b.py": "_c = 1"}, ("layers", "keys.a")),
    "a room that is not in the table": ({"utils/a.py": ""}, ("layers", "utils.a")),
    "a file that is not in the table": ({"helpers.py": ""}, ("layers", "helpers")),
    "a circle of two": ({"wire/a.py": "from . import b", "wire/b.py": "from .a import x"}, ("circle", "wire.a")),
    "a circle of three": (
        {"wire/a.py": "from . import b", "wire/b.py": "from . import c", "wire/c.py": "def f():\n    import fake.wire.a"},
        ("circle", "wire.a"),
    ),
    "trio too low": ({"protocol/a.py": "import trio"}, ("foreign", "protocol.a")),
    "trio too low, for typing": (
        {"keys/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from trio.abc import Stream"},
        ("foreign", "keys.a"),
    ),
    "cryptography too high": ({"connection/a.py": "from cryptography import x509"}, ("foreign", "connection.a")),
    "cryptography too low": ({"wire/a.py": "import cryptography.hazmat"}, ("foreign", "wire.a")),
    "no dependency of ours": ({"cli/a.py": "import click"}, ("foreign", "cli.a")),
    "asyncio": ({"client/a.py": "import asyncio.subprocess"}, ("foreign", "client.a")),
    "a clock in protocol": ({"protocol/a.py": "import time"}, ("foreign", "protocol.a")),
    "a socket in protocol": ({"protocol/a.py": "from socket import socket"}, ("foreign", "protocol.a")),
    "time.time": ({"connection/a.py": "import time\nx = time.time()"}, ("clock", "connection.a")),
    "time.sleep, by name": ({"cli/a.py": "from time import sleep"}, ("clock", "cli.a")),
    "drawn randomness": ({"protocol/a.py": "import os\nx = os.urandom(4)"}, ("random", "protocol.a")),
    "an endless queue": (
        {"connection/a.py": "import math, trio\ndef f():\n    return trio.open_memory_channel[int](math.inf)"},
        ("queue", "connection.a"),
    ),
    "an endless queue, otherwise": (
        {"connection/a.py": "from trio import open_memory_channel\nx = open_memory_channel(max_buffer_size=float('inf'))"},
        ("queue", "connection.a"),
    ),
    "unfinished": ({"wire/a.py": "x = 1  # " + "TO" + "DO: y"}, ("unfinished", "wire.a")),
    "unfinished too": ({"wire/a.py": '"""' + "FIX" + 'ME"""'}, ("unfinished", "wire.a")),
    "await in the sealer": ({"protocol/sealer.py": "async def f(x):\n    pass"}, ("async", "protocol.sealer")),
    "sealing that may be cancelled": ({"connection/a.py": "async def f(x):\n    x.sealer.seal(b'')"}, ("sealing", "connection.a")),
    "a cancellation swallowed": (
        {"client/a.py": "import trio\ntry:\n    pass\nexcept (OSError, trio.Cancelled):\n    pass"},
        ("cancelled", "client.a"),
    ),
    "everything swallowed": ({"client/a.py": "try:\n    pass\nexcept:\n    pass"}, ("cancelled", "client.a")),
    "everything swallowed, by name": (
        {"client/a.py": "try:\n    pass\nexcept ValueError:\n    raise\nexcept BaseException as e:\n    print(e)"},
        ("cancelled", "client.a"),
    ),
    "an event made at import": ({"connection/a.py": "import trio\nx = trio.Event()"}, ("import-time", "connection.a")),
    "an event made by a class": ({"connection/a.py": "import trio\nclass C:\n    x = trio.Event()"}, ("import-time", "connection.a")),
    "an event made by a default": (
        {"connection/a.py": "import trio\ndef f(x=trio.Event()):\n    pass"},
        ("import-time", "connection.a"),
    ),
    "logging in the opener": ({"protocol/opener.py": "import logging"}, ("hot", "protocol.opener")),
    "isinstance in the sealer": ({"protocol/sealer.py": "x = isinstance(1, int)"}, ("hot", "protocol.sealer")),
    "a long file": ({"wire/a.py": "\n" * 401}, ("file-length", "wire.a")),
    "a long function": ({"wire/a.py": "def f():\n" + "    x = 1\n" * 70}, ("function-length", "wire.a:f")),
    "a long coroutine in a class": (
        {"client/a.py": "class C:\n    async def f(self):\n" + "        x = 1\n" * 70},
        ("function-length", "client.a:f"),
    ),
    "a wide value": ({"wire/a.py": "class C:\n" + "".join(f"    a{n}: int\n" for n in range(16))}, ("class-width", "wire.a:C")),
    "a wide class, in any method": (
        {
            "client/a.py": "class C:\n    def __init__(self):\n"
            + "".join(f"        self.a{n} = 1\n" for n in range(15))
            + "    def f(self):\n        self.late, x = 1, 2\n"
        },
        ("class-width", "client.a:C"),
    ),
    "a wide class of attrs fields": (
        {"wire/a.py": "import attrs\nclass C:\n" + "".join(f"    a{n} = attrs.field()\n" for n in range(16))},
        ("class-width", "wire.a:C"),
    ),
}


@pytest.mark.parametrize(("files", "fault"), FAULTY.values(), ids=FAULTY.keys())
def test_each_fault_is_found_and_no_other(files: dict[str, str], fault: tuple[str, str], tmp_path: Path) -> None:
    assert set(_check(tmp_path, files)) == {fault}


def test_every_rule_has_a_fake_that_breaks_it(tmp_path: Path) -> None:
    """So that no rule can be added, or go blind, without a test that sees it fail."""
    for rule in RULES:
        seen = 0
        for number, (files, _) in enumerate(FAULTY.values()):
            folder = tmp_path / rule.__name__ / str(number)
            _check(folder, files)
            seen += len(list(rule(read_package(folder / "fake"), "fake")))
        assert seen, rule.__name__
