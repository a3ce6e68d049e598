"""One script played to a server: ours, or OpenSSH's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.interop.keyring import Keyring
from tests.interop.openssh import SSHD, running_sshd
from tests.interop.oracle.outcomes import Outcome
from tests.interop.oracle.steps import Run
from tests.interop.oracle.talk import Ended, Talk
from tests.raw_peer import RawPeer
from trio_ssh.protocol.role import Role

PATIENCE = 30.0
"""Seconds for one script; they take a tenth of one."""

KEX = (
    "curve25519-sha256",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha256",
)
HOST_KEY_ALGORITHM = "ssh-ed25519"
CIPHERS = ("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256")
COMPRESSION = ("none", "zlib@openssh.com")
ALGORITHMS = trio_ssh.Algorithms(kex=KEX, host_keys=(HOST_KEY_ALGORITHM,), ciphers=CIPHERS, macs=MACS, compression=COMPRESSION)
"""What both implementations offer, in the same order."""


async def serve_commands(session: trio_ssh.ServerSession) -> int:
    """``cat``, and by any other name what reads nothing."""
    if session.command != "cat":
        await trio.sleep_forever()
    async for chunk in session:
        await session.send_all(chunk)
    return 0


def talk_on(stream: trio.abc.Stream, role: Role) -> Talk:
    """With the first of `KEX` only, unless the script says otherwise."""
    peer = RawPeer(stream, role)
    peer.negotiator.algorithms = attrs.evolve(ALGORITHMS, kex=KEX[:1])
    return Talk(peer)


async def play(run: Run, talk: Talk) -> Outcome:
    """What became of it."""
    with trio.fail_after(PATIENCE):
        async with talk.peer.stream:
            try:
                return await run(talk)
            except Ended as end:
                return end.outcome


async def play_to_our_server(run: Run) -> Outcome:
    client, server = memory_stream_pair()

    async def serve() -> None:
        with suppress(trio_ssh.SSHError):  # the outcome is what the other side sees of it
            await trio_ssh.serve_stream(
                trio_ssh.Services(session=serve_commands),
                server,
                host_keys=[pairs.HOST_KEY],
                authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
                limits=trio_ssh.Limits(auth_failure_seconds=0),
                algorithms=ALGORITHMS,
            )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        return await play(run, talk_on(client, Role.CLIENT))


async def play_to_sshd(run: Run, sshd: SSHD) -> Outcome:
    return await play(run, talk_on(await trio.open_tcp_stream("127.0.0.1", sshd.port), Role.CLIENT))


@contextmanager
def oracle_sshd(keyring: Keyring, folder: Path) -> Iterator[SSHD]:
    """One for all scripts: they end many connections badly, and must not be kept out for that."""
    keys = folder / "authorized_keys"
    keys.write_text(f"{pairs.USER_KEY.public_key.to_openssh_line()}\n")
    lists = {"KexAlgorithms": KEX, "HostKeyAlgorithms": [HOST_KEY_ALGORITHM], "Ciphers": CIPHERS, "MACs": MACS}
    extra = [f"AuthorizedKeysFile {keys}", "MaxStartups 1000", "AllowAgentForwarding no"]
    with running_sshd(keyring, folder, lists, extra) as running:
        yield running
