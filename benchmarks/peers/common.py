"""What all peers share: how a peer program is started, told what to do, and answers.

A peer file is one program with two parts. ``serve`` listens on a port of 127.0.0.1, prints it, and serves until its stdin ends.
``drive`` is the client: it takes one order a line (JSON) and answers each with one line. The verbs are the same everywhere:

    bulk_up(size), bulk_down(size)   bytes through one session channel; the receiver counts       -> seconds
    login(times)                     connect, publickey, exec, close, one after another           -> seconds
    echo(times)                      one byte there and back through one channel                  -> seconds
    execute(times, at_once)          exec and exit status on one connection, so many at once      -> seconds
    hold(first, more)                logged in and idle: two steps, and a pause behind each       -> nothing

Only what is named is timed: by the client, with its connection made before (except for `login`). Servers know four commands: ``sink``
counts what comes in and says how much it was, ``source N`` sends N bytes, ``echo`` sends back what comes in, ``true`` ends at once.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

HOST = "127.0.0.1"
USER = "bench"
BLOCK_BYTES = 256 * 1024
BLOCK = bytes(range(256)) * (BLOCK_BYTES // 256)

Verb = Callable[..., float | None]


@attrs.frozen(kw_only=True)
class Setup:
    """What both ends of one pair agree on. `folder` holds host_key, user_key and their public halves; sizes are bytes."""

    folder: Path = attrs.field(converter=Path)
    cipher: str
    kex: str
    rekey_bytes: int | None = None
    port: int = 0

    def to_json(self) -> str:
        return json.dumps(attrs.asdict(self) | {"folder": str(self.folder)})

    @property
    def host_key(self) -> Path:
        return self.folder / "host_key"

    @property
    def user_key(self) -> Path:
        return self.folder / "user_key"


def blocks(size: int) -> list[memoryview]:
    """`size` bytes as slices of the one block: the same memory again and again, so that making the data costs nothing."""
    whole, rest = divmod(size, BLOCK_BYTES)
    return [memoryview(BLOCK)] * whole + [memoryview(BLOCK)[:rest]] * bool(rest)


def check_count(expected: int, counted: int) -> None:
    """A benchmark that loses bytes measures nothing."""
    if counted != expected:
        raise SystemExit(f"{expected} bytes were sent, but {counted} arrived")


def say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def listening(port: int, at_end: Callable[[], None] = lambda: None) -> None:
    """Called by a server once, when it accepts. It lives until its stdin ends; `at_end` is the last that is called."""

    def exit_at_end_of_stdin() -> None:
        sys.stdin.read()
        at_end()
        os._exit(0)

    say({"port": port})
    threading.Thread(target=exit_at_end_of_stdin, daemon=True).start()


def pause() -> None:
    """In `hold`: the step is done; wait until it has been looked at."""
    say({"paused": True})
    sys.stdin.readline()


def run_peer(serve: Callable[[Setup], None], verbs: Callable[[Setup], Mapping[str, Verb]]) -> None:
    """The ``__main__`` of a peer file: ``python -m benchmarks.peers.X serve|drive SETUP``."""
    part, text = sys.argv[1:]
    setup = Setup(**json.loads(text))
    if part == "serve":
        serve(setup)
    else:
        _take_orders(verbs(setup))


def _take_orders(verbs: Mapping[str, Verb]) -> None:
    while line := sys.stdin.readline():
        order = json.loads(line)
        say({"seconds": verbs[order.pop("verb")](**order)})
