"""A changed key that is let pass because checking is off (hardening E06): the server gets nothing that it could use elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from trio_ssh import AcceptChanged, HostKeyDoubt, KnownHosts, PrivateKey
from trio_ssh.cli.host_key_check import HostKeyCheck
from trio_ssh.config import StrictHostKeyChecking
from trio_ssh.protocol.auth_attempt import Prompt
from trio_ssh.server.authenticators import KeyboardInteractiveServer
from trio_ssh.testing import HOST_KEY, USER_KEY, RawPeer
from trio_ssh.wire.codec import decode
from trio_ssh.wire.connection import ChannelOpen, ChannelOpenFailureMessage
from trio_ssh.wire.numbers import MessageNumber as M

SECRET = "correct horse"
CHANNEL_TYPES = ("forwarded-tcpip", "auth-agent@openssh.com", "x11", "forwarded-streamlocal@openssh.com", "session")
OTHER = PrivateKey.generate()


@attrs.define(eq=False)
class Bait:
    """A server that lets everybody in by any method, and the credentials of somebody who could fall for it."""

    tried: list[str] = attrs.field(factory=list)
    heard: list[str] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)

    async def check_password(self, username: str, password: str) -> bool:
        self.heard.append(password)
        return True

    async def converse(self, attempt: trio_ssh.AuthAttempt) -> bool:
        self.heard += await attempt.ask([Prompt("Code: ")])
        return True

    async def ask_password(self) -> str:
        self.asked.append("password")
        return SECRET

    async def answer(self, asked: trio_ssh.Asked) -> Sequence[str]:
        self.asked.append("keyboard-interactive")
        return [SECRET]

    def credentials(self, method: str) -> list[trio_ssh.Credential]:
        all_of_them: dict[str, trio_ssh.Credential] = {
            "password": trio_ssh.Password(self.ask_password),
            "keyboard-interactive": trio_ssh.KeyboardInteractive(self.answer),
            "publickey": trio_ssh.PrivateKeyCredential(USER_KEY),
        }
        return list(all_of_them.values()) if method == "all" else [all_of_them[method]] if method in all_of_them else []

    def authenticators(self, method: str) -> trio_ssh.Authenticator:
        by_name: dict[str, trio_ssh.Authenticator] = {
            "password": trio_ssh.Passwords(self.check_password),
            "keyboard-interactive": KeyboardInteractiveServer(self.converse),
            "publickey": trio_ssh.AuthorizedKeys.of([USER_KEY.public_key]),
        }
        by_name["all"] = trio_ssh.any_of(*by_name.values())
        return by_name[method]


@asynccontextmanager
async def connected(bait: Bait, method: str, policy: trio_ssh.HostKeyPolicy) -> AsyncIterator[trio_ssh.Client]:
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream, authenticate=bait.authenticators(method)):
        async with pairs.connecting(client_stream, credentials=bait.credentials(method), host_keys=policy) as client:
            yield client


def files(folder: Path, key: PrivateKey) -> KnownHosts:
    (folder / "known_hosts").write_text(f"server.test {key.public_key.to_openssh_line()}\n")
    return KnownHosts(folder / "known_hosts", update_keys=True)


async def nobody(question: str) -> str | None:
    return None


def library(known: KnownHosts) -> trio_ssh.HostKeyPolicy:
    return AcceptChanged(known)


def tool(known: KnownHosts) -> trio_ssh.HostKeyPolicy:
    return HostKeyCheck(known, StrictHostKeyChecking.NO, nobody)


BOTH = pytest.mark.parametrize("off", [library, tool], ids=["the library", "the tool"])


@BOTH
@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_e06_a_changed_key_gets_no_password_and_no_answer(autojump_clock, tmp_path, off, method):
    """The user is not even asked for it."""
    bait = Bait()
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with connected(bait, method, off(files(tmp_path, OTHER))):
            pytest.fail("connected")
    assert (bait.asked, bait.heard) == ([], [])


@BOTH
async def test_e06_a_changed_key_gets_signatures_only(autojump_clock, tmp_path, off):
    """A signature is about this connection and no other. The doubt stays for what wants to forward."""
    bait = Bait()
    before = files(tmp_path, OTHER)
    async with connected(bait, "all", off(before)) as client:
        assert client.host_key_doubt is HostKeyDoubt.CHANGED
        assert client.authenticated_by == ("publickey",)
        await client.rekey()
        assert client.host_key_doubt is HostKeyDoubt.CHANGED
        await pairs.check_works(client)
    assert (bait.asked, bait.heard) == ([], [])
    assert HOST_KEY.public_key.to_openssh_line() not in (tmp_path / "known_hosts").read_text()


@BOTH
@pytest.mark.parametrize("method", ["password", "keyboard-interactive", "publickey"])
async def test_e06_the_right_key_gets_what_there_is(autojump_clock, tmp_path, off, method):
    """The control."""
    bait = Bait()
    async with connected(bait, method, off(files(tmp_path, HOST_KEY))) as client:
        assert client.host_key_doubt is None
        assert client.authenticated_by == (method,)
    assert bait.heard == ([] if method == "publickey" else [SECRET])


@pytest.mark.parametrize("method", ["password", "keyboard-interactive", "publickey", "all"])
async def test_e06_with_checking_on_a_changed_key_gets_nothing(autojump_clock, tmp_path, method):
    bait = Bait()
    client_stream, server_stream = memory_stream_pair()
    async with pairs.served(stream=server_stream, authenticate=bait.authenticators(method)):
        with pytest.raises(trio_ssh.HostKeyChanged):
            async with pairs.connecting(client_stream, credentials=bait.credentials(method), host_keys=files(tmp_path, OTHER)):
                pytest.fail("connected")
    assert (bait.asked, bait.heard) == ([], [])


@BOTH
@pytest.mark.parametrize(
    "channel_type", ["forwarded-tcpip", "auth-agent@openssh.com", "x11", "forwarded-streamlocal@openssh.com", "session"]
)
async def test_e06_a_changed_key_can_open_nothing_towards_us(tmp_path, off, channel_type):
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(server_stream, trio_ssh.Role.SERVER)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raw.log_in)
            async with pairs.connecting(client_stream, host_keys=off(files(tmp_path, OTHER))) as client:
                assert client.host_key_doubt is HostKeyDoubt.CHANGED
                await raw.send(ChannelOpen(channel_type, 0, 1000, 1000))
                answer = decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE))
                assert answer.reason_code == 1
            nursery.cancel_scope.cancel()
