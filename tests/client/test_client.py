"""What a `Client` knows of its connection, and how connections begin and end."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORD, PASSWORDS
from trio_ssh import RekeyCause


async def test_what_is_known_of_the_server(autojump_clock):
    async with pairs.connected() as ends:
        client = ends.client
        assert client.host_key == pairs.HOST_KEY.public_key
        assert client.username == "ada"
        assert client.server_version.startswith("SSH-2.0-")
        assert client.negotiated.kex == "curve25519-sha256"
        assert client.negotiated.strict_kex is True


async def test_ping_and_statistics(autojump_clock):
    async with pairs.connected() as ends:
        before = ends.client.statistics()
        assert await ends.client.ping() == pytest.approx(0, abs=0.1)
        await ends.client.run_process("echo", input=bytes(100_000))
        after = ends.client.statistics()
        assert after.bytes_sent - before.bytes_sent > 100_000
        assert after.bytes_received - before.bytes_received > 100_000
        assert after.packets_sent > before.packets_sent
        assert after.packets_received > before.packets_received
        assert after.channels == ()
        async with ends.client.open_process("sleep"):
            (channel,) = ends.client.statistics().channels
            assert channel.channel_type == "session"
            assert channel.receive_window == channel.send_window == 2 * 1024 * 1024


async def test_what_observers_see(autojump_clock):
    async with pairs.connected() as ends:
        await ends.client.rekey()
        await ends.client.run_process("echo")
        await wait_all_tasks_blocked()
    for events in (ends.client_events, ends.server_events):
        kinds = [type(event) for event in events]
        assert kinds[0] is trio_ssh.ConnectionOpened
        assert kinds[1] is trio_ssh.KeyExchangeDone
        assert kinds[-1] is trio_ssh.ConnectionEnded
        assert kinds.count(trio_ssh.ChannelOpened) == kinds.count(trio_ssh.ChannelClosed) == 1
        assert kinds.count(trio_ssh.KeyExchangeDone) == 2
        assert [event.outcome for event in events if isinstance(event, trio_ssh.AuthAttempted)] == ["granted"]
    causes = [
        [event.cause for event in side if isinstance(event, trio_ssh.KeyExchangeDone)] for side in (ends.client_events, ends.server_events)
    ]
    assert causes == [[RekeyCause.FIRST, RekeyCause.USER], [RekeyCause.FIRST, RekeyCause.PEER]]
    assert ends.client_events[-1] == trio_ssh.ConnectionEnded(None)


async def test_tri_23_closing(autojump_clock):
    async with pairs.connected(leaves_channels=True) as ends:
        await ends.client.aclose()
        await ends.client.wait_closed()
        await ends.server_done.wait()
        await ends.client.aclose()
    assert isinstance(ends.server_cause, trio_ssh.Disconnected)
    assert (ends.server_cause.reason, ends.server_error) == (11, None)


async def test_tri_23_run_client_in_a_nursery(autojump_clock):
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream), trio.open_nursery() as nursery:
        with trio.fail_after(10):
            client = await nursery.start(trio_ssh.run_client, pairs.connecting(client_stream))
        await pairs.check_works(client)
        await client.aclose()


async def test_run_client_when_the_server_goes(autojump_clock):
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream) as ends:
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                await nursery.start(trio_ssh.run_client, pairs.connecting(client_stream))
                ends.server_scope.cancel()
        assert [type(error) for error in caught.value.exceptions] == [trio_ssh.Disconnected]


async def test_run_client_that_cannot_log_in(autojump_clock):
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS), trio.open_nursery() as nursery:
        with pytest.raises(trio_ssh.AuthenticationFailed):
            await nursery.start(trio_ssh.run_client, pairs.connecting(client_stream))


# -- logging in ------------------------------------------------------------------------------------------------------------------------


async def test_a_password(autojump_clock):
    client_stream, server_stream = memory_stream_pair()
    async with (
        pairs.served(stream=server_stream, authenticate=PASSWORDS),
        pairs.connecting(client_stream, credentials=[trio_ssh.Password(PASSWORD)]) as client,
    ):
        await pairs.check_works(client)


async def test_several_credentials_are_tried_in_order(autojump_clock):
    asked: list[int] = []

    async def ask():
        asked.append(len(asked))
        return None if len(asked) > 2 else PASSWORD[: len(asked)]

    wrong = trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.generate())
    shy = trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.generate(), ask_first=True)
    credentials = [wrong, shy, trio_ssh.Password("wrong"), trio_ssh.Password(ask, tries=3), trio_ssh.Password(PASSWORD)]
    client_stream, server_stream = memory_stream_pair()
    authenticate = trio_ssh.any_of(trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]), PASSWORDS)
    async with (
        pairs.served(stream=server_stream, authenticate=authenticate) as ends,
        pairs.connecting(client_stream, credentials=credentials) as client,
    ):
        await pairs.check_works(client)
    assert asked == [0, 1, 2]
    attempts = [(event.method, event.outcome) for event in ends.server_events if isinstance(event, trio_ssh.AuthAttempted)]
    assert attempts == [("publickey", "refused"), ("publickey", "refused"), *[("password", "refused")] * 3, ("password", "granted")]


async def test_asking_before_signing(autojump_clock):
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream) as ends:
        credentials = [trio_ssh.PrivateKeyCredential(pairs.USER_KEY, ask_first=True)]
        async with pairs.connecting(client_stream, credentials=credentials) as client:
            await pairs.check_works(client)
    assert [e.outcome for e in ends.server_events if isinstance(e, trio_ssh.AuthAttempted)] == ["question", "granted"]


async def test_nothing_that_the_server_takes(autojump_clock):
    for credentials, tried in (
        ([trio_ssh.PrivateKeyCredential(trio_ssh.PrivateKey.generate())], ("publickey ssh-ed25519",)),
        ([trio_ssh.Password("x")], ("password",)),
        ([], ("none",)),
    ):
        client_stream, server_stream = pairs.misbehaving()
        async with pairs.served(stream=server_stream) as ends:
            with pytest.raises(trio_ssh.AuthenticationFailed) as caught:
                async with pairs.connecting(client_stream, credentials=credentials):
                    pytest.fail("let in")
        assert caught.value.methods_left == ("publickey",)
        assert set(caught.value.tried) <= {*tried, "none"}
        assert caught.value.partial_success is False
        assert isinstance(ends.server_error, trio_ssh.SSHError)
        assert client_stream.closed


async def test_a07_pol_04_the_host_key_is_checked_before_anything_secret_leaves(autojump_clock):
    """POL-04: no password, no signature, not even a user name."""
    for policy, error in (
        (trio_ssh.PinnedKeys([]), trio_ssh.HostKeyUnknown),
        (trio_ssh.PinnedKeys([pairs.USER_KEY.public_key]), trio_ssh.HostKeyUnknown),
        (trio_ssh.KnownHosts(["/nonexistent/known_hosts"]), trio_ssh.HostKeyUnknown),
    ):
        wire = pairs.Wire()
        client_stream, server_stream = pairs.misbehaving(wire)
        async with pairs.served(stream=server_stream, authenticate=PASSWORDS) as ends:
            with pytest.raises(error) as caught:
                async with pairs.connecting(client_stream, host_keys=policy, credentials=[trio_ssh.Password(PASSWORD)]):
                    pytest.fail("connected")
        assert caught.value.offered == pairs.HOST_KEY.public_key.fingerprint()
        assert not any(isinstance(event, trio_ssh.AuthAttempted) for event in ends.server_events)
        assert isinstance(ends.server_error, trio_ssh.Disconnected)
        assert ends.server_error.reason == 9


async def test_nothing_in_common(autojump_clock):
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"kex": ("curve25519-sha256",)}, {"kex": ("ecdh-sha2-nistp256",)}, "key exchange"),
        ({"host_keys": ("rsa-sha2-512",)}, {}, "host key"),
        ({"ciphers": ("aes128-ctr",)}, {"ciphers": ("aes256-ctr",)}, "cipher"),
        ({"ciphers": ("aes128-ctr",), "macs": ("hmac-sha2-256",)}, {"ciphers": ("aes128-ctr",), "macs": ("hmac-sha2-512",)}, "MAC"),
    ]
    for ours, theirs, kind in cases:
        client_stream, server_stream = memory_stream_pair()
        async with pairs.served(stream=server_stream, algorithms=trio_ssh.Algorithms(**theirs)) as ends:
            with pytest.raises((trio_ssh.NegotiationError, trio_ssh.Disconnected), match=kind) as caught:
                policy = trio_ssh.TrustAnyHostKey.DANGEROUS
                async with pairs.connecting(client_stream, algorithms=trio_ssh.Algorithms(**ours), host_keys=policy):
                    pytest.fail("connected")
        errors = [caught.value, ends.server_error]
        assert any(isinstance(error, trio_ssh.NegotiationError) for error in errors)


async def test_pol_01_both_sides_demand_strict_key_exchange(autojump_clock):
    strict = trio_ssh.Algorithms(kex=("curve25519-sha256",), require_strict_kex=True)
    async with pairs.connected(client_algorithms=strict, server_algorithms=strict) as ends:
        assert ends.client.negotiated.strict_kex


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", "a\nb", "a\0b"])
async def test_host_names_that_are_none(host):
    with pytest.raises(trio_ssh.LocalProtocolError):
        async with trio_ssh.connect(host, host_keys=trio_ssh.PinnedKeys([]), username="ada", credentials=[]):
            pytest.fail("connected")


async def test_nobody_listens():
    """Over a real socket: one typed error that says where and why."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    for listener in listeners:
        await listener.aclose()
    with pytest.raises(trio_ssh.ConnectionLost, match=rf"127\.0\.0\.1 port {port}: .*refused"):
        async with trio_ssh.connect("127.0.0.1", port, host_keys=trio_ssh.PinnedKeys([]), username="ada", credentials=[]):
            pytest.fail("connected")


async def test_over_real_sockets():
    """`serve` and `connect`, with nothing of memory between."""
    async with trio.open_nursery() as nursery:

        async def serve(task_status):
            await trio_ssh.serve(
                pairs.commands,
                0,
                host="127.0.0.1",
                host_keys=[pairs.HOST_KEY],
                authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
                task_status=task_status,
            )

        listeners = await nursery.start(serve)
        async with trio_ssh.connect(
            "127.0.0.1",
            listeners[0].socket.getsockname()[1],
            username="ada",
            credentials=[trio_ssh.PrivateKeyCredential(pairs.USER_KEY)],
            host_keys=trio_ssh.PinnedKeys([pairs.HOST_KEY.public_key]),
            limits=trio_ssh.Limits(rekey_bytes=100_000),
        ) as client:
            data = pairs.pattern(5_000_000)
            assert (await client.run_process("hash", input=data)).stdout.decode() == pairs.sha256(data)
            assert pairs.sha256((await client.run_process("source 5000000")).stdout) == pairs.sha256(data)
            assert len(client.statistics().rekeys) >= 5
        nursery.cancel_scope.cancel()


async def test_a_connection_through_a_connection(autojump_clock):
    """A channel is a stream, so a connection fits into it: to any depth."""

    async def jump(session):
        await trio_ssh.serve_stream(
            pairs.commands,
            session,
            host_keys=[pairs.HOST_KEY],
            authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
            limits=limits,
            algorithms=pairs.QUICK,
        )

    limits = trio_ssh.Limits(rekey_bytes=5000, window_bytes=10_000)
    async with pairs.connected(jump, limits=limits) as ends, ends.client.open_process("inner") as process:
        stream = trio.StapledStream(process.stdin, process.stdout)
        async with pairs.connecting(stream, limits=limits) as inner:
            data = pairs.pattern(100_000)
            assert (await inner.run_process("echo", input=data)).stdout == data
            assert len(inner.statistics().rekeys) > 3
