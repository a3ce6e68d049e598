"""One target under atheris, coverage-guided, in a process of its own: ``python -m tests.fuzz.under_atheris NAME [libFuzzer's arguments]``.

libFuzzer ends the process itself, with status 77 when something was found; the input is in the folder of ``-artifact_prefix`` then.
"""

from __future__ import annotations

import sys

import atheris
import trio

with atheris.instrument_imports(include=["trio_ssh"]):
    from tests.fuzz.registry import load
    from tests.strategies import DECLARED
    from trio_ssh.wire import codec

    TARGET = load(sys.argv[1])


def instrument_codec() -> None:
    """Its functions are compiled when they are first used, not imported."""
    for cls in DECLARED:
        plan = codec._plan(cls)
        atheris.instrument_func(plan.encode)
        atheris.instrument_func(plan.decode)


async def fuzz() -> None:
    """Inside `trio.run`, so that targets that want it need not start one each time. Does not return."""
    atheris.Fuzz()


if __name__ == "__main__":
    instrument_codec()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGET.run)
    trio.run(fuzz)
