"""Each of P1 to P10 is caught when it is broken, and an honest connection breaks none (hardening §4.3, ASR-12)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from trio_ssh import testing
from trio_ssh.connection.tap import TAP
from trio_ssh.protocol.role import Role
from trio_ssh.testing import INVARIANTS, InvariantBroken, ProtocolMonitor
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import (
    ChannelClose,
    ChannelData,
    ChannelEof,
    ChannelExtendedData,
    ChannelFailure,
    ChannelOpen,
    ChannelOpenConfirmation,
    ChannelOpenFailureMessage,
    ChannelRequest,
    ChannelSuccess,
    ChannelWindowAdjust,
    GlobalRequest,
    RequestFailure,
    RequestSuccess,
)
from trio_ssh.wire.transport import Debug, Disconnect, Ignore, NewKeys, ServiceAccept, ServiceRequest
from trio_ssh.wire.userauth import UserauthSuccess

KEXINIT = pairs.QUICK.kexinit_payload(Role.CLIENT, bytes(16), first=True)
LATER_KEXINIT = pairs.QUICK.kexinit_payload(Role.CLIENT, bytes(16), first=False)
SHARE, REPLY = b"\x1e...", b"\x1f..."
BY_PEER, OURS = 5, 0
"""Numbers of the channel that `with_channel` opens."""

Script = list[tuple[str, object]]


def feed(monitor: ProtocolMonitor, *script: tuple[str, object]) -> ProtocolMonitor:
    """``(">", message)`` is sent, ``("<", message)`` is received."""
    for direction, message in script:
        payload = message if isinstance(message, bytes) else encode(message)
        (monitor.sent if direction == ">" else monitor.received)(payload)
    return monitor


def exchange(role: Role, kexinit: bytes) -> Script:
    share, reply = (">", "<") if role is Role.CLIENT else ("<", ">")
    return [(">", kexinit), ("<", kexinit), (share, SHARE), (reply, REPLY), (">", NewKeys()), ("<", NewKeys())]


def logged_in(role: Role = Role.SERVER) -> ProtocolMonitor:
    us, them = (">", "<") if role is Role.CLIENT else ("<", ">")
    script: Script = [*exchange(role, KEXINIT), (us, ServiceRequest("ssh-userauth")), (them, ServiceAccept("ssh-userauth"))]
    return feed(ProtocolMonitor(role), *script, (us, b"\x32..."), (them, UserauthSuccess()))


def with_channel(window: int = 100, packet: int = 60) -> ProtocolMonitor:
    """A server with one channel, which the client has opened."""
    return feed(
        logged_in(), ("<", ChannelOpen("session", BY_PEER, window, packet)), (">", ChannelOpenConfirmation(BY_PEER, OURS, 1000, 1000))
    )


def breaks(invariant: str, monitor: ProtocolMonitor, *script: tuple[str, object]) -> None:
    """The last message does, and none before."""
    feed(monitor, *script[:-1])
    with pytest.raises(InvariantBroken, match=f"{invariant} broken by the {monitor.role.value}") as caught:
        feed(monitor, script[-1])
    assert caught.value.invariant == invariant
    assert INVARIANTS[invariant] in str(caught.value)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("number", [80, 82, 90, 94, 98, 100])
def test_p1_connection_messages_before_success(role, number):
    breaks("P1", ProtocolMonitor(role), (">", bytes([number]) + bytes(20)))
    breaks("P1", feed(ProtocolMonitor(role), *exchange(role, KEXINIT)), (">", bytes([number]) + bytes(20)))


def test_p1_a_client_that_takes_a_success_before_the_keys():
    monitor = feed(ProtocolMonitor(Role.CLIENT), (">", KEXINIT), ("<", UserauthSuccess()))
    assert not monitor.authenticated
    breaks("P1", feed(monitor, *exchange(Role.CLIENT, KEXINIT)[1:]), (">", ChannelOpen("session", 0, 1, 1)))


@pytest.mark.parametrize("payload", [encode(UserauthSuccess()), encode(ServiceRequest("x")), b"\x07\0\0\0\0", b"\x32...", b"\x3d..."])
def test_p2_authentication_before_newkeys(payload):
    breaks("P2", ProtocolMonitor(Role.SERVER), (">", payload))


def test_p2_success_before_the_peers_newkeys():
    script = exchange(Role.SERVER, KEXINIT)[:-1]
    breaks("P2", ProtocolMonitor(Role.SERVER), *script, (">", UserauthSuccess()))


@pytest.mark.parametrize("message", [Ignore(b""), Disconnect(2, "again"), KEXINIT, ChannelEof(BY_PEER)])
def test_p3_anything_behind_disconnect(message):
    breaks("P3", with_channel(), (">", Disconnect(11, "bye")), (">", message))


def test_p4_success_twice():
    breaks("P4", logged_in(), (">", UserauthSuccess()))
    breaks("P4", logged_in(Role.CLIENT), (">", UserauthSuccess()))


@pytest.mark.parametrize(
    "message", [ChannelWindowAdjust(BY_PEER, 1), ChannelData(BY_PEER, b"x"), ChannelClose(BY_PEER), ServiceAccept("x"), b"\xc1pong"]
)
def test_p5_something_else_between_our_kexinit_and_our_newkeys(message):
    breaks("P5", with_channel(), (">", LATER_KEXINIT), (">", Ignore(b"")), (">", Debug(False, "")), (">", message))


def test_p5_ignore_in_a_strict_first_exchange():
    breaks("P5", ProtocolMonitor(Role.CLIENT), (">", KEXINIT), (">", Ignore(b"")))
    feed(ProtocolMonitor(Role.CLIENT), (">", LATER_KEXINIT), (">", Ignore(b"")))  # not strict


def test_p5_newkeys_or_kexinit_out_of_place():
    breaks("P5", ProtocolMonitor(Role.CLIENT), (">", NewKeys()))
    breaks("P5", logged_in(), (">", LATER_KEXINIT), (">", NewKeys()))
    breaks("P5", logged_in(), (">", LATER_KEXINIT), (">", LATER_KEXINIT))


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_p5_a_kexinit_that_is_never_answered_to_the_end(steps):
    """By the time that all has settled; a connection that is over owes nothing."""
    begun: Script = [("<", LATER_KEXINIT), (">", LATER_KEXINIT), ("<", SHARE), (">", REPLY)]
    monitor = feed(logged_in(), *begun[:steps])
    with pytest.raises(InvariantBroken, match="P5"):
        monitor.check_settled()
    feed(monitor, *begun[steps:], (">", NewKeys())).check_settled()
    feed(logged_in(), begun[0], (">", Disconnect(2, "no"))).check_settled()


def test_p6_a_close_that_is_not_answered():
    monitor = feed(with_channel(), ("<", ChannelClose(OURS)))
    with pytest.raises(InvariantBroken, match="P6"):
        monitor.check_settled()
    feed(monitor, (">", ChannelClose(BY_PEER))).check_settled()


@pytest.mark.parametrize("who_first", ["us", "them"])
def test_p6_a_close_that_is_answered_twice(who_first):
    closes: Script = [(">", ChannelClose(BY_PEER)), ("<", ChannelClose(OURS))]
    breaks("P6", with_channel(), *(closes if who_first == "us" else closes[::-1]), (">", ChannelClose(BY_PEER)))


@pytest.mark.parametrize(
    "message",
    [
        ChannelData(BY_PEER, b"x"),
        ChannelExtendedData(BY_PEER, 1, b"x"),
        ChannelEof(BY_PEER),
        ChannelRequest(BY_PEER, "exit-status", False, bytes(4)),
        ChannelWindowAdjust(BY_PEER, 1),
        ChannelSuccess(BY_PEER),
    ],
    ids=lambda message: type(message).__name__,
)
def test_p6_something_behind_our_close_or_on_no_channel(message):
    breaks("P6", with_channel(), (">", ChannelClose(BY_PEER)), (">", message))
    breaks("P6", logged_in(), (">", message))


def test_p6_data_behind_our_eof_and_eof_twice():
    breaks("P6", with_channel(), (">", ChannelEof(BY_PEER)), (">", ChannelData(BY_PEER, b"x")))
    breaks("P6", with_channel(), (">", ChannelEof(BY_PEER)), (">", ChannelEof(BY_PEER)))


def test_p6_a_number_of_ours_is_given_twice():
    breaks("P6", logged_in(), (">", ChannelOpen("x", 7, 1, 1)), (">", ChannelOpen("x", 7, 1, 1)))
    refused: Script = [(">", ChannelOpen("x", 7, 1, 1)), ("<", ChannelOpenFailureMessage(7, 1, "no")), (">", ChannelOpen("x", 7, 1, 1))]
    confirmed: Script = [("<", ChannelOpenConfirmation(7, 9, 1, 1)), (">", ChannelOpen("x", 7, 1, 1))]
    breaks("P6", logged_in(), *refused, *confirmed)


@pytest.mark.parametrize("message", [RequestSuccess(), RequestFailure()])
def test_p7_more_global_answers_than_questions(message):
    asked: Script = [("<", GlobalRequest("x", True)), ("<", GlobalRequest("x", False)), (">", message)]
    breaks("P7", logged_in(), *asked, (">", message))


@pytest.mark.parametrize("message", [ChannelSuccess(BY_PEER), ChannelFailure(BY_PEER)])
def test_p7_more_answers_on_a_channel_than_questions(message):
    asked: Script = [("<", ChannelRequest(OURS, "x", True)), ("<", ChannelRequest(OURS, "y", False)), (">", message)]
    breaks("P7", with_channel(), *asked, (">", message))


@pytest.mark.parametrize("message", [ChannelOpenConfirmation(8, 1, 1, 1), ChannelOpenFailureMessage(8, 1, "no")])
def test_p7_an_open_is_answered_twice_or_unasked(message):
    breaks("P7", logged_in(), (">", message))
    breaks("P7", logged_in(), ("<", ChannelOpen("session", 8, 1, 1)), (">", message), (">", message))


@pytest.mark.parametrize("kind", ["plain", "extended", "without the data"])
def test_p8_more_data_than_the_window(kind):
    def send(monitor: ProtocolMonitor, size: int) -> None:
        if kind == "plain":
            feed(monitor, (">", ChannelData(BY_PEER, bytes(size))))
        elif kind == "extended":
            feed(monitor, (">", ChannelExtendedData(BY_PEER, 1, bytes(size))))
        else:
            monitor.sent_data(94, BY_PEER, size)

    monitor = with_channel(window=100, packet=60)
    send(monitor, 60)
    send(monitor, 40)
    send(monitor, 0)
    feed(monitor, ("<", ChannelWindowAdjust(OURS, 10)), ("<", ChannelWindowAdjust(99, 10)))
    send(monitor, 10)
    with pytest.raises(InvariantBroken, match="P8"):
        send(monitor, 1)
    with pytest.raises(InvariantBroken, match="P8"):
        send(with_channel(window=100, packet=60), 61)


def test_p9_sequence_numbers_and_keys():
    monitor = ProtocolMonitor(Role.CLIENT)
    keys = [object(), object()]
    for number in (2**32 - 2, 2**32 - 1, 0, 1):
        monitor.packet_sealed(number)
    monitor.key_installed(keys[0])
    for number in (0, 1, 2):
        monitor.packet_sealed(number)
    for number in (2, 1, 0):
        with pytest.raises(InvariantBroken, match="P9"):
            monitor.packet_sealed(number)
    monitor.key_installed(keys[1])
    monitor.packet_sealed(0)
    with pytest.raises(InvariantBroken, match="P9"):
        monitor.key_installed(keys[0])


def test_p10_a_handler_before_authentication():
    logged_in().handler_ran("a handler")
    with pytest.raises(InvariantBroken, match="P10"):
        feed(ProtocolMonitor(Role.SERVER), *exchange(Role.SERVER, KEXINIT)).handler_ran("a handler")


@pytest.mark.parametrize("payload", [b"\x5a", b"\x62\0\0", b"\x5b\0\0\0\x07", b"\x50\xff\xff\xff\xff"])
def test_the_peers_malformed_messages_are_not_the_monitors_business(payload):
    feed(with_channel(), ("<", payload))


def test_the_text_of_a_breach_shows_what_went_before():
    with pytest.raises(InvariantBroken) as caught:
        feed(logged_in(), (">", UserauthSuccess()))
    assert ">NEWKEYS <NEWKEYS <SERVICE_REQUEST >SERVICE_ACCEPT <USERAUTH_REQUEST >USERAUTH_SUCCESS >USERAUTH_SUCCESS" in str(caught.value)


# -- on live connections ---------------------------------------------------------------------------------------------------------------


async def test_asr_12_every_test_is_watched(autojump_clock):
    """conftest.py has put a tap in place; what pairs and servers do by themselves comes on top of it."""
    assert TAP.get() is not None
    with testing.watched() as watch:
        async with pairs.connected() as ends:
            assert sorted(monitor.role.value for monitor in watch.monitors) == ["client", "server"]
            assert len(ends.watch.monitors) == 2
            await pairs.check_works(ends.client)
            assert all(monitor.authenticated for monitor in watch.monitors)
    assert watch.breaches == []


def break_p3(connection) -> None:
    connection.parts.transport.disconnect_nowait(2, "bye")
    sealer = connection.parts.transport._sealer
    sealer.gate = type(sealer.gate).OPEN
    sealer.seal(encode(Ignore(b"")))


def break_p4(connection) -> None:
    connection.parts.transport.send_nowait(encode(UserauthSuccess()))


def break_p5(connection) -> None:
    connection.parts.transport.send_nowait(encode(NewKeys()))


def break_p6(connection) -> None:
    connection.parts.transport.send_nowait(encode(ChannelClose(17)))


def break_p7(connection) -> None:
    connection.parts.transport.send_nowait(encode(RequestFailure()))


def break_p8(connection) -> None:
    [channel] = connection.mux.channels.values()
    data = memoryview(bytes(1000))
    connection.parts.transport.send_channel_data_nowait(channel.outlet.recipient, data, 0, 1000)
    connection.parts.transport.send_extended_data_nowait(channel.outlet.recipient, 1, data, 0, 1000)


def break_p9(connection) -> None:
    connection.parts.transport._sealer.sequence_number -= 2
    connection.parts.transport.send_nowait(encode(Ignore(b"")))


BREAKERS: dict[str, Callable] = {
    "P3": break_p3,
    "P4": break_p4,
    "P5": break_p5,
    "P6": break_p6,
    "P7": break_p7,
    "P8": break_p8,
    "P9": break_p9,
}


@pytest.mark.parametrize("invariant", BREAKERS)
@pytest.mark.parametrize("side", ["client", "server"])
async def test_an_end_of_ours_that_breaks_one_is_found_out(autojump_clock, invariant, side):
    """Whatever the other end makes of it; the block says so when it ends."""
    TAP.set(None)  # the breach is this test's, not conftest's
    small = trio_ssh.Limits(window_bytes=500)
    with pytest.raises(InvariantBroken) as caught:
        with testing.watched():
            async with pairs.muxes(client_limits=small, server_limits=small) as ends:
                await ends.channel()
                BREAKERS[invariant](getattr(ends, side))
                with trio.move_on_after(1):
                    await ends.client.ended.wait()
    assert (caught.value.invariant, side in str(caught.value)) == (invariant, True)


async def test_p10_on_a_server_that_calls_its_handler_too_early(autojump_clock):
    """The server's own fault, made by hand: its watch has a monitor that has seen nothing yet."""
    _, stream = memory_stream_pair()
    with pytest.raises(InvariantBroken, match="P10"):
        async with testing.open_server(pairs.commands, stream) as pair:
            await trio.testing.wait_all_tasks_blocked()
            pair.watch.handler_ran("the handler")
            pair.server_scope.cancel()


async def test_watches_may_be_nested_and_end_in_any_state(autojump_clock):
    with testing.watched() as outer:
        with pytest.raises(ValueError, match="mine"):
            with testing.watched() as inner:
                async with pairs.connected() as ends:
                    await pairs.check_works(ends.client)
                    assert len(inner.monitors) == len(outer.monitors) == 2
                    raise ValueError("mine")
        before = len(inner.monitors)
        async with pairs.connected():
            assert len(outer.monitors) >= 2
            assert len(inner.monitors) == before
