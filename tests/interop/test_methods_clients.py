"""OpenSSH's, AsyncSSH's and Paramiko's clients log in to our server by every method they have."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import asyncssh
import paramiko
import pytest
import trio

import trio_ssh
from tests.interop.asyncssh_peer import AsyncioThread, asyncssh_client
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.methods import ANSWERS, CODES, NEW_PASSWORD, Accounts, Authority, key_policy, write_askpass, write_certified
from tests.interop.openssh import SSH
from tests.interop.paramiko_peer import run_command
from tests.interop.services import PASSWORD, StartServer
from trio_ssh import TrustedUserCA, all_of, any_of

pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")


@pytest.fixture(scope="module")
def asyncio_thread() -> Iterator[AsyncioThread]:
    with AsyncioThread.running() as thread:
        yield thread


def granted(server) -> list[tuple[str, str]]:
    events = server.all_of(trio_ssh.AuthAttempted)
    return [(event.method, event.outcome) for event in events if event.outcome in ("granted", "partial")]


class Person:
    """The `ssh` program with somebody who answers its questions."""

    def __init__(self, keyring: Keyring, port: int, folder: Path, answers: dict[str, str]) -> None:
        self.ssh = SSH(keyring, port)
        self.askpass = write_askpass(folder / "askpass", answers)

    async def run(self, **options: object) -> tuple[int, bytes, bytes]:
        settings = {"BatchMode": "no", "User": "ada", "NumberOfPasswordPrompts": 1, **options}
        environ = {"SSH_ASKPASS": str(self.askpass), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
        done = await self.ssh.run("exit 7", options=settings, environ=environ)
        return done.returncode, done.stdout, done.stderr


# -- OpenSSH -------------------------------------------------------------------------------------------------------------------------------


async def test_ssh_by_password(keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    accounts = Accounts()
    server = await serve_ours(authenticate=trio_ssh.Passwords(accounts.check, accounts.change))
    person = Person(keyring, server.port, tmp_path, {"password": PASSWORD})
    assert (await person.run(PreferredAuthentications="password"))[0] == 7
    assert granted(server) == [("password", "granted")]
    wrong = Person(keyring, server.port, tmp_path, {"password": "wrong"})
    status, _, errors = await wrong.run(PreferredAuthentications="password")
    assert status == 255
    assert b"Permission denied" in errors


async def test_ssh_by_a_password_that_must_be_changed(keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    accounts = Accounts(has_expired=True)
    server = await serve_ours(authenticate=trio_ssh.Passwords(accounts.check, accounts.change))
    person = Person(keyring, server.port, tmp_path, {"old password": PASSWORD, "new password": NEW_PASSWORD, "password": PASSWORD})
    assert (await person.run(PreferredAuthentications="password"))[0] == 7
    assert accounts.password == NEW_PASSWORD


async def test_ssh_by_keyboard_interactive(keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    server = await serve_ours(authenticate=CODES)
    person = Person(keyring, server.port, tmp_path, ANSWERS)
    assert (await person.run(PreferredAuthentications="keyboard-interactive"))[0] == 7
    assert granted(server) == [("keyboard-interactive", "granted")]
    wrong = Person(keyring, server.port, tmp_path, {**ANSWERS, "PIN: ": "no"})
    assert (await wrong.run(PreferredAuthentications="keyboard-interactive"))[0] == 255


async def test_ssh_by_two_factors(keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    server = await serve_ours(authenticate=all_of(key_policy(keyring), CODES))
    assert (await Person(keyring, server.port, tmp_path, ANSWERS).run())[0] == 7
    assert granted(server) == [("publickey", "partial"), ("keyboard-interactive", "granted")]
    one_only = await Person(keyring, server.port, tmp_path, {}).run()
    assert one_only[0] == 255


async def test_ssh_by_two_keys(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours(authenticate=all_of(key_policy(keyring), key_policy(keyring)))
    ssh = SSH(keyring, server.port)
    other = ["-i", str(keyring.user_key_file("ssh-rsa"))]
    assert (await ssh.run("exit 7", options={"User": "ada"}, flags=other)).returncode == 7
    assert granted(server) == [("publickey", "partial"), ("publickey", "granted")]
    assert (await ssh.run("exit 7", options={"User": "ada"})).returncode == 255


async def test_ssh_by_a_chain_of_its_choice(keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    accounts = Accounts()
    passwords = trio_ssh.Passwords(accounts.check)
    server = await serve_ours(authenticate=any_of(all_of(passwords, CODES), all_of(CODES, passwords)))
    person = Person(keyring, server.port, tmp_path, {**ANSWERS, "password": PASSWORD})
    for order in ("password,keyboard-interactive", "keyboard-interactive,password"):
        assert (await person.run(PreferredAuthentications=order))[0] == 7
    assert granted(server) == [
        ("password", "partial"),
        ("keyboard-interactive", "granted"),
        ("keyboard-interactive", "partial"),
        ("password", "granted"),
    ]


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_ssh_by_certificate(key_type: str, keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    authority = Authority()
    server = await serve_ours(authenticate=TrustedUserCA([authority.key.public_key]))
    key = keyring.user_keys[key_type]
    path = write_certified(authority.of_user(key), tmp_path / "id")
    ssh = SSH(keyring, server.port)
    done = await ssh.run("exit 7", options={"User": "ada", "IdentityFile": path})
    assert done.returncode == 7, done.stderr
    assert granted(server) == [("publickey", "granted")]
    for wrong in ({"principals": ("bob",)}, {"valid_before": 1_000_000_000}, {"critical_options": {"frobnicate@example.com": b""}}):
        path = write_certified(authority.of_user(key, **wrong), tmp_path / "id")
        assert (await ssh.run("exit 7", options={"User": "ada", "IdentityFile": path})).returncode == 255, wrong
    path = write_certified(Authority().of_user(key), tmp_path / "id")
    assert (await ssh.run("exit 7", options={"User": "ada", "IdentityFile": path})).returncode == 255


async def test_b06_ssh_by_a_certificate_with_limits(keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    """Its forced command and source addresses hold behind a second factor."""
    authority = Authority()
    server = await serve_ours(authenticate=all_of(TrustedUserCA([authority.key.public_key]), CODES))
    key = keyring.user_keys["ssh-ed25519"]
    for addresses, status in (("127.0.0.0/8", 9), ("192.0.2.0/24", 255)):
        options = {"force-command": "exit 9", "source-address": addresses}
        path = write_certified(authority.of_user(key, critical_options=options), tmp_path / "id")
        assert (await Person(keyring, server.port, tmp_path, ANSWERS).run(IdentityFile=path))[0] == status


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_ssh_checks_our_host_certificate(key_type: str, keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    authority = Authority()
    certified = authority.of_host(keyring.host_keys[key_type])
    server = await serve_ours(host_keys=[certified])
    known_hosts = authority.write_known_hosts(tmp_path / "known_hosts")
    done = await SSH(keyring, server.port).run("exit 7", options={"UserKnownHostsFile": known_hosts})
    assert done.returncode == 7, done.stderr
    (negotiated,) = [event.negotiated for event in server.all_of(trio_ssh.KeyExchangeDone)]
    assert negotiated.host_key in certified.signature_algorithms
    # Who has no authority for it takes the plain key, which is saved.
    plain = ",".join(certified.key.public_key.signature_algorithms)
    done = await SSH(keyring, server.port).run("exit 7", options={"HostKeyAlgorithms": plain})
    assert done.returncode == 7, done.stderr


async def test_ssh_is_shown_a_banner(keyring: Keyring, nursery: trio.Nursery, deadline: None):
    listeners = await nursery.start(
        partial(
            trio_ssh.serve,
            refuse,
            0,
            host="127.0.0.1",
            host_keys=[keyring.host_keys["ssh-ed25519"]],
            authenticate=key_policy(keyring),
            banner="Mind the gap\n",
        )
    )
    port = listeners[0].socket.getsockname()[1]
    done = await SSH(keyring, port).run("x", options={"LogLevel": "INFO"})
    assert b"Mind the gap\n" in done.stderr


async def refuse(session: trio_ssh.ServerSession) -> int:
    return 1


# -- AsyncSSH ------------------------------------------------------------------------------------------------------------------------------


class Answering(asyncssh.SSHClient):
    """Knows the password, the codes, and a new password."""

    def password_auth_requested(self) -> str:
        return PASSWORD

    def password_change_requested(self, prompt: str, lang: str) -> tuple[str, str]:
        return PASSWORD, NEW_PASSWORD

    def kbdint_auth_requested(self) -> str:
        return ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        return [ANSWERS[text] for text, _ in prompts]


async def by_asyncssh(keyring: Keyring, port: int, thread: AsyncioThread, **options: object) -> int | None:
    async def work() -> int | None:
        async with asyncssh_client(keyring, port, client_factory=Answering, **options) as connection:
            done = await connection.run("exit 7")
            return done.exit_status

    return await thread.run(work())


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_asyncssh_by_what_a_person_knows(method: str, keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    accounts = Accounts()
    policy = trio_ssh.Passwords(accounts.check) if method == "password" else CODES
    server = await serve_ours(authenticate=policy)
    assert await by_asyncssh(keyring, server.port, asyncio_thread, client_keys=[]) == 7
    assert granted(server) == [(method, "granted")]


async def test_asyncssh_changes_its_password(keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    accounts = Accounts(has_expired=True)
    server = await serve_ours(authenticate=trio_ssh.Passwords(accounts.check, accounts.change))
    assert await by_asyncssh(keyring, server.port, asyncio_thread, client_keys=[]) == 7
    assert accounts.password == NEW_PASSWORD


async def test_asyncssh_by_three_factors(keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    accounts = Accounts()
    server = await serve_ours(authenticate=all_of(key_policy(keyring), trio_ssh.Passwords(accounts.check), CODES))
    assert await by_asyncssh(keyring, server.port, asyncio_thread) == 7
    assert granted(server) == [("publickey", "partial"), ("password", "partial"), ("keyboard-interactive", "granted")]


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_asyncssh_by_certificate_at_a_certified_host(
    key_type: str, keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread, tmp_path: Path
):
    authority = Authority()
    server = await serve_ours(
        authenticate=TrustedUserCA([authority.key.public_key]), host_keys=[authority.of_host(keyring.host_keys[key_type])]
    )
    path = write_certified(authority.of_user(keyring.user_keys[key_type]), tmp_path / "id")
    known_hosts = authority.write_known_hosts(tmp_path / "known_hosts")
    options = {"client_keys": [str(path)], "known_hosts": str(known_hosts)}
    assert await by_asyncssh(keyring, server.port, asyncio_thread, **options) == 7
    assert granted(server) == [("publickey", "granted")]


# -- Paramiko ------------------------------------------------------------------------------------------------------------------------------


def answer_paramiko(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
    return [ANSWERS[text] for text, _ in prompts]


def by_paramiko(port: int, log_in) -> tuple[int, object]:
    """The exit status, and what `log_in(transport)` gave. In a thread."""
    import socket

    with socket.create_connection(("127.0.0.1", port)) as sock:
        transport = paramiko.Transport(sock)
        try:
            transport.start_client(timeout=30)
            gave = log_in(transport)
            return run_command(transport, "exit 7").status, gave
        finally:
            transport.close()
            transport.join(30)


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_paramiko_by_what_a_person_knows(method: str, keyring: Keyring, serve_ours: StartServer):
    accounts = Accounts()
    server = await serve_ours(authenticate=trio_ssh.Passwords(accounts.check) if method == "password" else CODES)

    def log_in(transport: paramiko.Transport) -> object:
        if method == "password":
            return transport.auth_password("ada", PASSWORD)
        return transport.auth_interactive("ada", answer_paramiko)

    assert await trio.to_thread.run_sync(by_paramiko, server.port, log_in) == (7, [])
    assert granted(server) == [(method, "granted")]


async def test_paramiko_by_two_factors(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours(authenticate=all_of(key_policy(keyring), CODES))

    def log_in(transport: paramiko.Transport) -> object:
        left = transport.auth_publickey("ada", paramiko.PKey.from_path(keyring.user_key_file("ssh-ed25519")))
        return left, transport.auth_interactive("ada", answer_paramiko)

    assert await trio.to_thread.run_sync(by_paramiko, server.port, log_in) == (7, (["keyboard-interactive"], []))
    assert granted(server) == [("publickey", "partial"), ("keyboard-interactive", "granted")]


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_paramiko_by_certificate(key_type: str, keyring: Keyring, serve_ours: StartServer, tmp_path: Path):
    authority = Authority()
    server = await serve_ours(authenticate=TrustedUserCA([authority.key.public_key]))
    path = write_certified(authority.of_user(keyring.user_keys[key_type]), tmp_path / "id")

    def log_in(transport: paramiko.Transport) -> object:
        key = paramiko.PKey.from_path(path)
        if key.public_blob is None:
            key.load_certificate(f"{os.fspath(path)}-cert.pub")
        return transport.auth_publickey("ada", key)

    assert await trio.to_thread.run_sync(by_paramiko, server.port, log_in) == (7, [])
    assert granted(server) == [("publickey", "granted")]
