"""How many records a server writes about its connections (hardening RES-29)."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import trio

import trio_ssh
from tests.server.test_serve import MemoryListener, serve_on
from trio_ssh.connection.paced_log import PacedLog


async def test_res_29_so_many_a_second_and_then_how_many_were_left_out(autojump_clock, caplog):
    caplog.set_level(logging.INFO)
    log = PacedLog(logging.getLogger("trio_ssh.tests"), 3)
    for number in range(10):
        log.info("number %d", number)
    assert caplog.messages == ["number 0", "number 1", "number 2"]
    await trio.sleep(1)
    log.warning("later")
    assert caplog.messages[3:] == ["7 records were left out", "later"]


async def test_res_29_what_is_not_logged_at_all_is_not_counted(autojump_clock, caplog):
    caplog.set_level(logging.WARNING)
    log = PacedLog(logging.getLogger("trio_ssh.tests"), 1)
    for _ in range(5):
        log.info("too fine")
    log.error("a mistake", cause=ValueError("x"))
    assert caplog.messages == ["a mistake"]


async def test_res_29_the_limit_of_a_server(autojump_clock, caplog):
    caplog.set_level(logging.INFO, "trio_ssh.server")
    limits = trio_ssh.Limits(log_lines_per_second=2, unauthenticated_per_source=None, handshakes_per_source_per_second=None)
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_on, listener, limits=limits))
        for _ in range(8):
            stream = await listener.connect()
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert len(caplog.records) == 2
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("per_second", [1, 5])
async def test_res_29_any_second_is_like_the_first(autojump_clock, caplog, per_second):
    caplog.set_level(logging.INFO)
    log = PacedLog(logging.getLogger("trio_ssh.tests"), per_second)
    for _ in range(3):
        for _ in range(per_second):
            log.info("one")
        await trio.sleep(1)
    assert caplog.messages == ["one"] * 3 * per_second
