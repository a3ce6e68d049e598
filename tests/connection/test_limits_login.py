"""Each bound of `Limits` on what comes before and during authentication, set small and met (hardening §6.1; SM-010 to SM-110)."""

from __future__ import annotations

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORD, PASSWORDS, password_request, raw_client, raw_server
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import (
    ChannelOpen,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, ExtInfo, Ignore, KexInit, Ping, ServiceAccept, ServiceRequest, Unimplemented, write_extensions
from trio_ssh.wire.userauth import UserauthBanner, UserauthFailure, UserauthRequest, UserauthSuccess


async def test_sm_097_auth_failures(autojump_clock):
    """SM-097."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(auth_failures=3)) as ends:
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"))
        for _ in range(2):
            await raw.send(password_request("wrong"))
            await raw.wait_for(M.USERAUTH_FAILURE)
        await raw.send(password_request("wrong"))
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_sm_097_res_22_auth_requests(autojump_clock):
    """SM-097, RES-22: questions about keys cost nothing but count here."""
    raw, stream = raw_client()
    limits = trio_ssh.Limits(auth_requests=10)
    async with pairs.served(stream=stream, limits=limits):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"))
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        other = trio_ssh.PrivateKey.generate().public_key
        fields = bytes([0]) + b"".join(len(x).to_bytes(4, "big") + x for x in (b"ssh-ed25519", other.blob))
        for _ in range(10):
            await raw.send(UserauthRequest("ada", "ssh-connection", "publickey", fields))
            await raw.expect(M.USERAUTH_FAILURE)
        await raw.send(UserauthRequest("ada", "ssh-connection", "publickey", fields))
        await raw.expect_disconnect(2)


async def test_b20_auth_requests_of_a_client(autojump_clock):
    """B20: a server that always wants one more try."""
    raw, stream = raw_server()

    async def never_satisfied():
        await raw.handshake()
        await raw.wait_for(M.SERVICE_REQUEST)
        await raw.send(ServiceAccept("ssh-userauth"))
        while await raw.receive() is not None:
            await raw.send(UserauthFailure(("password",), True))

    async def ask():
        return "guess"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tolerate_end, never_satisfied)
        with pytest.raises((trio_ssh.RemoteProtocolError, trio_ssh.AuthenticationFailed)):
            async with pairs.connecting(stream, credentials=[trio_ssh.Password(ask, tries=100)], limits=trio_ssh.Limits(auth_requests=5)):
                pytest.fail("let in")
    assert raw.numbers.count(M.USERAUTH_REQUEST) == 5


async def tolerate_end(function):
    try:
        await function()
    except (trio.BrokenResourceError, AssertionError):
        pass


async def test_b05_auth_messages_waiting(autojump_clock):
    async def slow(attempt):
        await trio.sleep(10)
        return trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=slow, limits=trio_ssh.Limits(auth_messages_waiting=3)) as ends:
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), *[password_request("x")] * 6)
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_b05_tri_16_pipelined_requests_are_decided_one_after_another(autojump_clock):
    """B05, TRI-16: in order, and nothing behind the success is asked about."""
    asked = []

    async def policy(attempt):
        asked.append(attempt.password)
        await trio.sleep(1)
        return trio_ssh.ACCEPT if attempt.password == "right" else trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=policy):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), *map(password_request, ["a", "b", "right", "c", "d"]))
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        assert [(await raw.receive() or b"?")[0] for _ in range(3)] == [M.USERAUTH_FAILURE, M.USERAUTH_FAILURE, M.USERAUTH_SUCCESS]
        await raw.send(Ping(b"?"))
        await raw.expect(M.PONG)
        assert asked == ["a", "b", "right"]
        await raw.stream.aclose()


async def test_sm_105_connection_messages_before_success_are_never_queued(autojump_clock):
    """SM-105."""
    opened = []

    async def policy(attempt):
        await trio.sleep(1)
        return trio_ssh.ACCEPT

    async def handler(session):
        opened.append(session)

    raw, stream = raw_client()
    async with pairs.served(handler, stream=stream, authenticate=policy):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request("x"), ChannelOpen("session", 0, 1000, 1000))
        await raw.expect_disconnect(2)
    assert opened == []


async def test_sm_104_auth_requests_after_success(autojump_clock):
    """SM-104: dropped without an answer, up to a point."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(auth_requests_after_success=4)):
        await raw.log_in()
        await raw.send(*[password_request("x")] * 4, Ping(b"?"))
        await raw.expect(M.PONG)
        await raw.send(password_request("x"))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("noise", [Ignore(b""), Debug(False, ""), Unimplemented(0), Ping(b"")], ids=lambda m: type(m).__name__)
async def test_res_15_a10_preauth_noise_packets(autojump_clock, noise):
    """RES-15, A10."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(preauth_noise_packets=20)):
        await raw.handshake()
        await raw.send(*[noise] * 10, ServiceRequest("ssh-userauth"), *[noise] * 10)
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        await raw.send(noise)
        await raw.expect_disconnect(2)


async def test_res_15_a10_preauth_noise_of_a_server(autojump_clock):
    raw, stream = raw_server()

    async def noisy():
        await raw.handshake()
        await raw.send(*[Ignore(b"")] * 21)
        await raw.drain()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tolerate_end, noisy)
        with pytest.raises(trio_ssh.RemoteProtocolError, match="without meaning"):
            async with pairs.connecting(stream, limits=trio_ssh.Limits(preauth_noise_packets=20)):
                pytest.fail("let in")


@pytest.mark.parametrize(("password", "fits"), [("x" * 10, True), ("x" * 11, False)])
async def test_b10_password_bytes(autojump_clock, password, fits):
    asked = []

    async def policy(attempt):
        asked.append(attempt.password)
        return trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=policy, limits=trio_ssh.Limits(password_bytes=10)):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request(password))
        await raw.wait_for(M.USERAUTH_FAILURE)
        assert asked == ([password] if fits else [])
        await raw.stream.aclose()


@pytest.mark.parametrize(("name", "fits"), [("ä" * 5, True), ("ä" * 6, False)])
async def test_sm_093_username_bytes(autojump_clock, name, fits):
    asked = []

    async def policy(attempt):
        asked.append(attempt.username)
        return trio_ssh.REFUSE

    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=policy, limits=trio_ssh.Limits(username_bytes=10)):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"), password_request("x", name))
        await raw.wait_for(M.USERAUTH_FAILURE)
        assert asked == ([name] if fits else [])
        await raw.stream.aclose()


async def test_b09_auth_failure_seconds(autojump_clock):
    """B09: a refusal takes its time, whatever it is for; an answer to a yes does not."""
    raw, stream = raw_client()
    took: set[float] = set()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(auth_failure_seconds=2)):
        await raw.handshake()
        await raw.send(ServiceRequest("ssh-userauth"))
        for attempt in (password_request("wrong"), UserauthRequest("ada", "ssh-connection", "nonsense"), password_request("x" * 2000)):
            started = trio.current_time()
            await raw.send(attempt)
            await raw.wait_for(M.USERAUTH_FAILURE)
            took.add(round(trio.current_time() - started, 3))
        assert len(took) == 1  # the same for all of them: it depends on the name only
        assert 2 <= took.pop() <= 4
        started = trio.current_time()
        await raw.send(password_request(PASSWORD))
        await raw.wait_for(M.USERAUTH_SUCCESS)
        assert trio.current_time() - started < 1
        await raw.stream.aclose()


async def test_sm_108_banners_and_banner_bytes(autojump_clock):
    """SM-108."""
    shown: list[str] = []
    for count, fits in ((3, True), (4, False)):
        shown.clear()
        raw, stream = raw_server()

        async def banners(raw=raw, count=count):
            await raw.handshake()
            await raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO])
            await raw.send(ServiceAccept("ssh-userauth"))
            await raw.send(*[UserauthBanner("x" * 100)] * count)
            await raw.expect(M.USERAUTH_REQUEST)
            await raw.send(UserauthSuccess(), UserauthBanner("late: dropped"))
            await raw.drain()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tolerate_end, banners)
            limits = trio_ssh.Limits(banners=3, banner_bytes=50)
            connecting = pairs.connecting(stream, limits=limits, banner=shown.append)
            if fits:
                async with connecting:
                    assert shown == ["x" * 50] * 3
            else:
                with pytest.raises(trio_ssh.RemoteProtocolError, match="banners"):
                    async with connecting:
                        pytest.fail("let in")


async def test_sm_086_ext_info_entries(autojump_clock):
    """SM-086."""
    for count, fits in ((5, True), (6, False)):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(ext_info_entries=5)):
            await raw.handshake()
            await raw.send(ExtInfo(write_extensions({f"x{i}": b"" for i in range(count)})), ServiceRequest("ssh-userauth"))
            if fits:
                await raw.wait_for(M.SERVICE_ACCEPT)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)


async def test_sm_021_packet_bytes_before_and_after_authentication(autojump_clock):
    """SM-021: one byte more than is taken is the end, at once; behind the login more is taken."""
    limits = trio_ssh.Limits(packet_bytes_preauth=10_000, packet_bytes=20_000)
    for preauth, size, fits in ((True, 9_000, True), (True, 10_100, False), (False, 19_000, True), (False, 20_100, False)):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=limits) as ends:
            await (raw.handshake() if preauth else raw.log_in())
            await raw.send(Ignore(bytes(size)))
            if fits:
                await raw.send(ServiceRequest("ssh-userauth") if preauth else Ping(b""))
                await raw.wait_for(M.SERVICE_ACCEPT if preauth else M.PONG)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)
                assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


async def test_sm_010_sm_015_identification_lines(autojump_clock):
    """SM-010, SM-015."""
    limits = trio_ssh.Limits(identification_line_bytes=20, identification_pre_lines=2, identification_pre_bytes=100)
    for sent, fits in (
        (b"SSH-2.0-" + b"x" * 10 + b"\r\n", True),
        (b"SSH-2.0-" + b"x" * 11 + b"\r\n", False),
        (b"one\r\ntwo\r\nSSH-2.0-x\r\n", True),
        (b"one\r\ntwo\r\nthree\r\nSSH-2.0-x\r\n", False),
        (b"x" * 99 + b"\nSSH-2.0-x\r\n", True),
        (b"x" * 100 + b"\nSSH-2.0-x\r\n", False),
        (b"x" * 101, False),
    ):
        raw, stream = raw_server()

        async def serve(raw=raw, sent=sent):
            raw.line = sent.strip().splitlines()[-1]
            await raw.send_bytes(sent[: -len(raw.line) - 2])
            await raw.log_in()
            await raw.drain()

        async with trio.open_nursery() as nursery:
            connecting = pairs.connecting(stream, limits=limits)
            nursery.start_soon(tolerate_end, serve)
            if fits:
                async with connecting as client:
                    assert client.server_version == raw.line.decode()
            else:
                with pytest.raises(trio_ssh.RemoteProtocolError):
                    async with connecting:
                        pytest.fail("connected")


async def test_sm_044_kexinit_names_and_list_bytes(autojump_clock):
    """SM-044."""
    limits = trio_ssh.Limits(kexinit_names=20, kexinit_list_bytes=300)
    for kex, fits in (
        (("curve25519-sha256", *(f"x{i}" for i in range(17))), True),  # and two markers
        (("curve25519-sha256", *(f"x{i}" for i in range(18))), False),
        (("curve25519-sha256", *("x" * 60,) * 3), True),
        (("curve25519-sha256", *("x" * 60,) * 4), False),
    ):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=limits):
            await raw.identify()
            ours = decode(KexInit, raw.negotiator.our_kexinit(bytes(16), first=True))
            ours = attrs.evolve(  # type: ignore[misc]  # mypy does not know what @message makes
                ours, kex_algorithms=(*kex, "ext-info-c", "kex-strict-c-v00@openssh.com")
            )
            await raw.send(ours)
            theirs = await raw.expect(M.KEXINIT)
            if fits:
                await raw.exchange_keys(ours=encode(ours), theirs=theirs)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)
