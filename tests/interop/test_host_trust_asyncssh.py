"""How two sides come to trust a server's key, with AsyncSSH on the other one: host certificates, and UpdateHostKeys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncssh
import attrs
import pytest
import trio

import trio_ssh
from tests.interop.asyncssh_peer import AsyncioThread, asyncssh_client
from tests.interop.authority import CERTIFIED, HOST, Authority, certified, line, serve
from tests.interop.keyring import Keyring
from tests.interop.services import StartServer
from trio_ssh import KnownHosts, PrivateKey


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def thread() -> Iterator[AsyncioThread]:
    with AsyncioThread.running() as running:
        yield running


async def listening(keyring: Keyring, host_keys: Sequence[object], **options: object) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen(
        HOST,
        0,
        config=None,
        server_host_keys=host_keys,
        authorized_client_keys=str(keyring.authorized_keys),
        process_factory=lambda process: process.exit(3),
        **options,
    )


@pytest.mark.parametrize("algorithm", CERTIFIED)
async def test_our_client_believes_its_certificate(
    algorithm: str, keyring: Keyring, authority: Authority, thread: AsyncioThread, deadline: None, tmp_path: Path
):
    plain = algorithm.removesuffix("-cert-v01@openssh.com")
    key = keyring.host_keys["ssh-rsa" if plain.startswith("rsa") else plain]
    path = authority.certify(key, f"asyncssh_{plain}")
    acceptor = await thread.run(listening(keyring, [(str(path), f"{path}-cert.pub")]))
    try:
        file = tmp_path / "known_hosts"
        file.write_text(authority.line())
        connecting = trio_ssh.connect(
            HOST,
            acceptor.get_port(),
            credentials=[trio_ssh.PrivateKeyCredential(keyring.user_keys["ssh-ed25519"])],
            host_keys=KnownHosts(file),
            algorithms=attrs.evolve(trio_ssh.Algorithms(), host_keys=(algorithm,)),
        )
        async with connecting as client:
            assert client.negotiated.host_key == algorithm
            assert client.host_certificate is not None
            assert (await client.run_process("x", check=False)).exit_status == 3
    finally:
        acceptor.close()
        await thread.run(acceptor.wait_closed())


@pytest.mark.parametrize("algorithm", CERTIFIED)
async def test_it_believes_our_certificate(
    algorithm: str, keyring: Keyring, authority: Authority, thread: AsyncioThread, deadline: None, nursery: trio.Nursery, tmp_path: Path
):
    plain = algorithm.removesuffix("-cert-v01@openssh.com")
    kind = {"ssh-ed25519": ("ed25519", None), "rsa-sha2-512": ("rsa", 2048), "rsa-sha2-256": ("rsa", 2048)}.get(plain)
    port = await serve(nursery, keyring, [certified(authority, "for_asyncssh", kind or ("ecdsa", int(plain[-3:])))])
    file = tmp_path / "known_hosts"
    file.write_text(authority.line("*"))

    async def work() -> int | None:
        async with asyncssh_client(keyring, port, known_hosts=str(file), server_host_key_algs=[algorithm]) as connection:
            return (await connection.run("exit 4")).exit_status

    assert await thread.run(work()) == 4


async def test_c18_it_learns_our_other_keys(keyring: Keyring, serve_ours: StartServer, thread: AsyncioThread, tmp_path: Path):
    """Its handler is told what our server has proven."""
    server = await serve_ours()
    used, gone = keyring.host_keys["ssh-ed25519"], PrivateKey.generate()
    file = tmp_path / "known_hosts"
    file.write_text(line(server.port, used) + line(server.port, gone))

    async def work() -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        told: asyncio.Future[tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey]]] = asyncio.get_running_loop().create_future()

        def handler(added, removed, retained, revoked) -> None:
            told.set_result((added, removed))

        async with asyncssh_client(keyring, server.port, known_hosts=str(file), server_host_keys_handler=handler):
            return await told

    added, removed = await thread.run(work())
    others = {key.public_key.blob for key in keyring.host_keys.values()} - {used.public_key.blob}
    assert {key.public_data for key in added} == others
    assert [key.public_data for key in removed] == [gone.public_key.blob]


async def test_c18_our_client_learns_its_other_keys(keyring: Keyring, thread: AsyncioThread, deadline: None, tmp_path: Path):
    """Those that are proven by an algorithm that we take."""
    keys = [str(keyring.host_key_file(key_type)) for key_type in keyring.host_keys]
    acceptor = await thread.run(listening(keyring, keys, send_server_host_keys=True))
    try:
        port = acceptor.get_port()
        file = tmp_path / "known_hosts"
        file.write_text(line(port, keyring.host_keys["ssh-ed25519"]))
        asked = trio.Event()

        async def accept(changes: trio_ssh.HostKeyChanges) -> bool:
            asked.set()
            return True

        credentials = [trio_ssh.PrivateKeyCredential(keyring.user_keys["ssh-ed25519"])]
        async with trio_ssh.connect(HOST, port, credentials=credentials, host_keys=KnownHosts(file, update_keys=accept)) as client:
            await asked.wait()
            assert (await client.run_process("x", check=False)).exit_status == 3
    finally:
        acceptor.close()
        await thread.run(acceptor.wait_closed())
    learned = [key for key_type, key in keyring.host_keys.items() if key_type != "ssh-rsa"]
    assert sorted(file.read_text().splitlines()) == sorted(line(port, key).strip() for key in learned)
