"""One script played to a client: ours, or OpenSSH's. Both run a command that reads until it is told to stop."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.interop.keyring import Keyring
from tests.interop.openssh import SSH
from tests.interop.oracle.outcomes import Outcome
from tests.interop.oracle.servers import ALGORITHMS, CIPHERS, HOST_KEY_ALGORITHM, KEX, MACS, play, talk_on
from tests.interop.oracle.steps import USERNAME, Run
from trio_ssh.protocol.role import Role

SPARE_KEY = trio_ssh.PrivateKey.generate()
"""Tried first: OpenSSH's first attempt, too, is one that a script may refuse. The second is a question, as OpenSSH asks it."""


async def play_to_our_client(run: Run) -> Outcome:
    client, server = memory_stream_pair()

    async def connect() -> None:
        connecting = trio_ssh.connect(
            "server.test",
            stream=client,
            username=USERNAME,
            credentials=[trio_ssh.PrivateKeyCredential(SPARE_KEY), trio_ssh.PrivateKeyCredential(pairs.USER_KEY, ask_first=True)],
            host_keys=trio_ssh.PinnedKeys([pairs.HOST_KEY.public_key]),
            algorithms=ALGORITHMS,
        )
        with suppress(trio_ssh.SSHError, trio.BrokenResourceError):  # the outcome is what the other side sees of it
            async with connecting as connected, connected.open_process("cat"):
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect)
        outcome = await play(run, talk_on(server, Role.SERVER))
        nursery.cancel_scope.cancel()
    return outcome


async def play_to_ssh(run: Run, keyring: Keyring) -> Outcome:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    ssh = SSH(keyring, listener.socket.getsockname()[1])
    options = {
        "UserKnownHostsFile": known_hosts(keyring.folder),
        "KexAlgorithms": ",".join(KEX),
        "HostKeyAlgorithms": HOST_KEY_ALGORITHM,
        "Ciphers": ",".join(CIPHERS),
        "MACs": ",".join(MACS),
    }
    async with listener, trio.open_nursery() as nursery:
        await ssh.start(nursery, "cat", options=options, stderr=subprocess.DEVNULL)
        outcome = await play(run, talk_on(await listener.accept(), Role.SERVER))
        nursery.cancel_scope.cancel()
    return outcome


def known_hosts(folder: Path) -> Path:
    """A file with the key that `RawPeer` has as a server."""
    path = folder / "known_hosts_of_raw_peer"
    if not path.exists():
        path.write_text(f"* {pairs.HOST_KEY.public_key.to_openssh_line()}\n")
    return path
