"""Many connections one after another, their lines in the log, and memory that fails: hardening RES-29, RES-30, RES-32."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.injected import ours, raising_at
from tests.connection.memory import traced
from tests.connection.victims import attacked
from tests.raw_peer import PASSWORDS, RawPeer, password_request
from tests.server.test_serve import MemoryListener, serve_on
from trio_ssh.connection.tap import TAP
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelOpen, ChannelRequest, Exec
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceRequest
from trio_ssh.wire.userauth import UserauthRequest

# -- many ------------------------------------------------------------------------------------------------------------------------------


async def test_res_32_handshakes_one_after_another_leave_nothing(autojump_clock):
    """120, scaled down from 100,000: logins, refusals and peers that break off; the same number of tasks as before, and no memory."""
    TAP.set(None)  # whoever watches the invariants keeps something of every connection
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: serve_on(listener, authenticate=PASSWORDS, task_status=task_status))
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        await handshakes(listener, 30)
        await trio.sleep(10_000)  # deadlines that are past are forgotten by trio when their time comes
        async with traced() as found:
            await handshakes(listener, 90)
            await trio.sleep(10_000)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert found[0] < 100_000
        nursery.cancel_scope.cancel()


async def handshakes(listener: MemoryListener, count: int) -> None:
    for number in range(count):
        raw = RawPeer(await listener.connect(), Role.CLIENT)
        if number % 3 == 0:
            await raw.log_in()
            await raw.open_session("exit 0")
            await raw.wait_for(M.CHANNEL_CLOSE)
        elif number % 3 == 1:
            await raw.handshake()
            await raw.send(ServiceRequest("ssh-userauth"), password_request("wrong"))
            await raw.wait_for(M.USERAUTH_FAILURE)
        else:
            await raw.identify()
            await raw.send_kexinit()
        await raw.stream.aclose()
        await wait_all_tasks_blocked()


LOG_LINES_MAX = 100
"""In a second, hardening §6.1."""


async def test_res_29_many_connections_that_fail_write_few_lines(autojump_clock, caplog):
    """500 within one second, at any level: what is left out is counted, not written."""
    listener = MemoryListener()
    limits = trio_ssh.Limits(unauthenticated_connections=1000, unauthenticated_drop_begin=1000)
    with caplog.at_level(logging.DEBUG, "trio_ssh"):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: serve_on(listener, limits=limits, task_status=task_status))
            started = trio.current_time()
            for _ in range(500):
                stream = await listener.connect()
                await stream.send_all(b"GET / HTTP/1.1\r\n")
                await wait_all_tasks_blocked()
                await stream.aclose()
            assert trio.current_time() - started < 1
            nursery.cancel_scope.cancel()
    assert 0 < len(caplog.records) <= LOG_LINES_MAX


HOSTILE = "\x1b[2J\r\n\u202e\0" + "x" * 5000


async def test_res_29_texts_of_a_peer_in_logs_and_errors_are_short_and_escaped(autojump_clock, caplog):
    """Its line, user name, DISCONNECT and the rest: no line of more than 1 KiB of the peer's, and no control character."""
    texts: list[str] = []
    with caplog.at_level(logging.DEBUG, "trio_ssh"):
        for role in Role:
            async with attacked(role) as victim:
                await victim.raw.send_bytes(HOSTILE.encode() + b"\r\nSSH-9.9-x\x1b\r\n")
                await victim.raw.drain_bytes()
            texts += [str(victim.error), repr(victim.error)]
            async with attacked(role) as victim:
                await victim.raw.log_in()
                await victim.raw.send(b"\x01\0\0\0\x02" + len(HOSTILE.encode()).to_bytes(4, "big") + HOSTILE.encode() + b"\0\0\0\0")
                await victim.raw.drain()
            await victim.done.wait()
            texts += [str(victim.cause), str(victim.error)]
        async with attacked(Role.SERVER) as victim:
            await victim.until_auth()
            await victim.raw.send(UserauthRequest(HOSTILE[:300], "ssh-connection", "\x1b" * 2000))
            await victim.raw.stream.aclose()
    texts += [record.getMessage() for record in caplog.records]
    for text in texts:
        assert len(text) < 1500
        assert all(c.isprintable() for c in text), ascii(text)


# -- memory that fails -----------------------------------------------------------------------------------------------------------------


SPARED = frozenset({"abort", "_forget_writer", "report"})
"""Called from within trio itself, or what contains the damage: what the interpreter cannot even call there is beyond a library's help."""


@pytest.mark.parametrize("outcome", ["refused", "granted"])
async def test_res_30_a08_memory_fails_at_any_call_of_a_connection(autojump_clock, caplog, outcome):
    """The connection dies, whatever was being done; nobody is let in who would not be; the listener lives, and serves the next."""
    caplog.set_level(logging.CRITICAL + 1)
    hits, served = set(), []

    async def handler(session: trio_ssh.ServerSession) -> int:
        served.append(session.command)
        return await pairs.commands(session)

    TAP.set(None)
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        ours.set(True)
        await nursery.start(lambda task_status: serve_on(listener, handler, authenticate=PASSWORDS, task_status=task_status))
        ours.set(False)
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for number in range(1, 2000, 3):
            served.clear()
            with raising_at(number, MemoryError("injected"), SPARED) as injection:
                with trio.move_on_after(100):
                    await one_connection(listener, outcome == "granted")
                await wait_all_tasks_blocked()
            if outcome == "refused":
                assert served == [], injection.hit
            await trio.sleep(10)
            assert trio.lowlevel.current_statistics().tasks_living == tasks, f"tasks were left by a failure in {injection.hit}"
            if not injection.hit:
                break
            hits.add(injection.hit)
        async with pairs.connecting(await listener.connect(), credentials=[trio_ssh.Password("canary")]) as client:
            await client.ping()
        assert len(hits) > 50
        nursery.cancel_scope.cancel()


async def one_connection(listener: MemoryListener, granted: bool) -> None:
    """A raw client that goes as far as it is let."""
    raw = RawPeer(await listener.connect(), Role.CLIENT)
    try:
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request("canary" if granted else "wrong"))
        await raw.wait_for(M.USERAUTH_SUCCESS if granted else M.USERAUTH_FAILURE)
        await raw.send(ChannelOpen("session", 0, 1000, 1000), ChannelRequest(0, "exec", True, encode(Exec(b"exit 0"))))
        await raw.wait_for(M.CHANNEL_CLOSE)
    except (AssertionError, trio.BrokenResourceError, trio.ClosedResourceError, trio_ssh.SSHError):
        pass
    finally:
        await raw.stream.aclose()
