"""Our client logs in to OpenSSH's, AsyncSSH's and Paramiko's servers by every method they have."""

from __future__ import annotations

import contextlib
import getpass
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import asyncssh
import attrs
import paramiko
import pytest
import trio

import trio_ssh
from tests.interop.asyncssh_peer import AsyncioThread
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.methods import ANSWERS, CODE, NEW_PASSWORD, PIN, Authority, answer_codes, write_certified
from tests.interop.openssh import SSHD, running_sshd
from tests.interop.services import PASSWORD

pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")


@pytest.fixture(scope="module")
def asyncio_thread() -> Iterator[AsyncioThread]:
    with AsyncioThread.running() as thread:
        yield thread


def key(keyring: Keyring, key_type: str = "ssh-ed25519") -> trio_ssh.PrivateKeyCredential:
    return trio_ssh.PrivateKeyCredential(keyring.user_keys[key_type])


async def choose_new_password(prompt: str) -> str:
    return NEW_PASSWORD


# -- OpenSSH -------------------------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Certified:
    """An sshd that takes certificates of `users` and shows those of `hosts`."""

    sshd: SSHD
    users: Authority
    hosts: Authority
    folder: Path


@pytest.fixture(scope="module")
def certified_sshd(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    folder = tmp_path_factory.mktemp("certified")
    users, hosts = Authority(), Authority()
    (folder / "ca.pub").write_text(users.key.public_key.to_openssh_line() + "\n")
    lines = [f"TrustedUserCAKeys {folder / 'ca.pub'}", f"AuthorizedPrincipalsFile {folder / 'principals'}"]
    (folder / "principals").write_text("ada\n")
    for key_type, host_key in keyring.host_keys.items():
        path = write_certified(hosts.of_host(host_key), folder / f"host_{key_type}")
        lines.append(f"HostCertificate {path}-cert.pub")
    with running_sshd(keyring, folder, extra=lines) as running:
        yield Certified(running, users, hosts, folder)


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_sshd_by_certificate(key_type: str, keyring: Keyring, certified_sshd: Certified, deadline: None):
    user_key = keyring.user_keys[key_type]
    credential = trio_ssh.CertificateCredential.of(certified_sshd.users.of_user(user_key))
    async with certified_sshd.sshd.connect(credentials=[credential]) as client:
        assert (await client.run_process("echo hello")).stdout == b"hello\n"
        assert client.authenticated_by == ("publickey",)
    refused = trio_ssh.CertificateCredential.of(certified_sshd.users.of_user(keyring.stranger, principals=("bob",)))
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with certified_sshd.sshd.connect(credentials=[refused]):
            pytest.fail("let in")


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_pain_23_sshds_host_certificate(key_type: str, certified_sshd: Certified, deadline: None, tmp_path: Path):
    algorithms = trio_ssh.Algorithms()
    wanted = [name for name in algorithms.host_keys if trio_ssh.keys.certificates.CERTIFICATE_ALGORITHMS.get(name) is not None]
    wanted = [name for name in wanted if key_type.removeprefix("ssh-") in name.replace("rsa-sha2-512", "rsa")]
    known_hosts = trio_ssh.KnownHosts([certified_sshd.hosts.write_known_hosts(tmp_path / "known_hosts")])
    connecting = certified_sshd.sshd.connect(host_keys=known_hosts, algorithms=attrs.evolve(algorithms, host_keys=wanted))
    async with connecting as client:
        assert client.host_certificate is not None
        assert client.host_certificate.key_id == "the host's"
        assert client.host_key.algorithm == key_type
    strange = trio_ssh.KnownHosts([Authority().write_known_hosts(tmp_path / "others")])
    with pytest.raises(trio_ssh.HostKeyError):
        async with certified_sshd.sshd.connect(host_keys=strange):
            pytest.fail("trusted")


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"critical_options": {"force-command": "exit 9"}}, 9),
        ({"critical_options": {"source-address": "127.0.0.0/8"}}, 7),
        ({"critical_options": {"source-address": "192.0.2.0/24"}}, None),
        ({"valid_before": 1_000_000_000}, None),
        ({"extensions": {}}, 7),
    ],
    ids=["force-command", "source-address", "elsewhere", "expired", "nothing permitted"],
)
async def test_sshd_holds_what_our_certificates_say(options, outcome, keyring: Keyring, certified_sshd: Certified, deadline: None):
    credential = trio_ssh.CertificateCredential.of(certified_sshd.users.of_user(keyring.stranger, **options))
    connecting = certified_sshd.sshd.connect(credentials=[credential])
    if outcome is None:
        with pytest.raises(trio_ssh.AuthenticationFailed):
            async with connecting:
                pytest.fail("let in")
        return
    async with connecting as client:
        assert (await client.run_process("exit 7", check=False)).exit_status == outcome


async def test_sshd_by_two_keys(keyring: Keyring, tmp_path: Path, deadline: None):
    with running_sshd(keyring, tmp_path, extra=["AuthenticationMethods publickey,publickey"]) as sshd:
        async with sshd.connect(credentials=[key(keyring), key(keyring, "ssh-rsa")]) as client:
            assert client.authenticated_by == ("publickey", "publickey")
        with pytest.raises(trio_ssh.AuthenticationFailed) as failure:
            async with sshd.connect(credentials=[key(keyring)]):
                pytest.fail("let in")
        assert failure.value.partial_success


async def test_sshd_takes_our_host_bound_requests(keyring: Keyring, certified_sshd: Certified, deadline: None):
    """A key that is asked about first is used by the request that names sshd's host key."""
    seen = []

    @attrs.frozen
    class Watching:
        key: trio_ssh.PrivateKeyCredential
        ask_first = True

        @property
        def algorithms(self):
            return self.key.algorithms

        @property
        def key_blob(self):
            return self.key.key_blob

        async def sign(self, algorithm, data):
            seen.append(data)
            return await self.key.sign(algorithm, data)

    async with certified_sshd.sshd.connect(username=getpass.getuser(), credentials=[Watching(key(keyring))]):
        pass
    assert b"publickey-hostbound-v00@openssh.com" in seen[0]


# -- AsyncSSH ------------------------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Desk:
    """What AsyncSSH's server is to take."""

    methods: Sequence[str]
    password: str = PASSWORD
    has_expired: bool = False


class Server(asyncssh.SSHServer):
    """Takes what its desk says."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.rounds = 0

    def begin_auth(self, username: str) -> bool:
        return "none" not in self.desk.methods

    def public_key_auth_supported(self) -> bool:
        return "publickey" in self.desk.methods

    def password_auth_supported(self) -> bool:
        return "password" in self.desk.methods

    def validate_password(self, username: str, password: str) -> bool:
        if password == self.desk.password and self.desk.has_expired:
            raise asyncssh.PasswordChangeRequired("It has expired.")
        return password == self.desk.password

    def change_password(self, username: str, old_password: str, new_password: str) -> bool:
        if old_password != self.desk.password:
            return False
        self.desk.password, self.desk.has_expired = new_password, False
        return True

    def kbdint_auth_supported(self) -> bool:
        return "keyboard-interactive" in self.desk.methods

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> tuple[str, str, str, Sequence[tuple[str, bool]]]:
        return "Two steps", "Look at your token.", "en-US", [("Code: ", False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool | tuple[str, str, str, Sequence[tuple[str, bool]]]:
        self.rounds += 1
        if self.rounds == 1 and list(responses) == [CODE]:
            return "", "", "en-US", [("PIN: ", False), ("Word: ", True)]
        return self.rounds == 2 and list(responses) == [PIN, "yes"]


@contextlib.asynccontextmanager
async def asyncssh_server(keyring: Keyring, thread: AsyncioThread, desk: Desk, **options: object) -> AsyncIterator[int]:
    """Its port."""

    async def serve(process: asyncssh.SSHServerProcess[str]) -> None:
        process.exit(7)

    async def start() -> asyncssh.SSHAcceptor:
        settings = {"server_host_keys": [str(keyring.host_key_file("ssh-ed25519"))], "config": None, **options}
        return await asyncssh.listen("127.0.0.1", 0, server_factory=lambda: Server(desk), process_factory=serve, **settings)

    async def stop() -> None:
        acceptor.close()
        await acceptor.wait_closed()

    acceptor = await thread.run(start())
    try:
        yield acceptor.get_port()
    finally:
        await thread.run(stop())


def connecting(keyring: Keyring, port: int, credentials: Sequence[trio_ssh.Credential], **options) -> trio_ssh.Connecting:
    options.setdefault("host_keys", trio_ssh.KnownHosts([keyring.known_hosts]))
    return trio_ssh.connect("127.0.0.1", port, username="ada", credentials=credentials, **options)


METHODS: dict[str, Callable[[], trio_ssh.Credential]] = {
    "password": lambda: trio_ssh.Password(PASSWORD),
    "keyboard-interactive": lambda: trio_ssh.KeyboardInteractive(answer_codes),
}


@pytest.mark.parametrize("method", METHODS)
async def test_asyncssh_by_what_a_person_knows(method: str, keyring: Keyring, asyncio_thread: AsyncioThread, deadline: None):
    async with asyncssh_server(keyring, asyncio_thread, Desk([method])) as port:
        async with connecting(keyring, port, [make() for make in METHODS.values()]) as client:
            assert (await client.run_process("x", check=False)).exit_status == 7
            assert client.authenticated_by == (method,)
        wrong: list[trio_ssh.Credential] = [trio_ssh.Password("wrong"), trio_ssh.KeyboardInteractive(_answer_nonsense)]
        with pytest.raises(trio_ssh.AuthenticationFailed):
            async with connecting(keyring, port, wrong):
                pytest.fail("let in")


async def _answer_nonsense(asked: trio_ssh.Asked) -> list[str]:
    return ["nonsense"] * len(asked.prompts)


async def test_asyncssh_wants_the_password_changed(keyring: Keyring, asyncio_thread: AsyncioThread, deadline: None):
    desk = Desk(["password"], has_expired=True)
    async with asyncssh_server(keyring, asyncio_thread, desk) as port:
        async with connecting(keyring, port, [trio_ssh.Password(PASSWORD, change=choose_new_password)]) as client:
            assert client.authenticated_by == ("password",)
    assert desk.password == NEW_PASSWORD


async def test_asyncssh_by_none(keyring: Keyring, asyncio_thread: AsyncioThread, deadline: None):
    async with asyncssh_server(keyring, asyncio_thread, Desk(["none"])) as port:
        async with connecting(keyring, port, [trio_ssh.Password("x")]) as client:
            assert client.authenticated_by == ("none",)
        with pytest.raises(trio_ssh.AuthenticationFailed, match="without any proof"):
            async with connecting(keyring, port, [trio_ssh.Password("x")], allow_none=False):
                pytest.fail("taken")


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_asyncssh_by_certificate_with_a_certified_host_key(
    key_type: str, keyring: Keyring, asyncio_thread: AsyncioThread, tmp_path: Path, deadline: None
):
    users, hosts = Authority(), Authority()
    (tmp_path / "authorized").write_text(f"cert-authority {users.key.public_key.to_openssh_line()}\n")
    host_path = write_certified(hosts.of_host(keyring.host_keys[key_type]), tmp_path / "host")
    options = {"authorized_client_keys": str(tmp_path / "authorized"), "server_host_keys": [str(host_path)]}
    async with asyncssh_server(keyring, asyncio_thread, Desk(["publickey"]), **options) as port:
        credential = trio_ssh.CertificateCredential.of(users.of_user(keyring.user_keys[key_type]))
        known_hosts = trio_ssh.KnownHosts([hosts.write_known_hosts(tmp_path / "known_hosts")])
        async with connecting(keyring, port, [credential], host_keys=known_hosts) as client:
            assert (await client.run_process("x", check=False)).exit_status == 7
            assert client.host_certificate is not None


# -- Paramiko ------------------------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Rules(paramiko.ServerInterface):
    """Wants `chain` in that order. Called by the transport's thread."""

    keyring: Keyring
    chain: list[str]
    done: threading.Event = attrs.field(factory=threading.Event)

    def get_allowed_auths(self, username: str) -> str:
        return self.chain[0] if self.chain else ""

    def _judge(self, method: str, right: bool) -> int:
        if not right or not self.chain or self.chain[0] != method:
            return int(paramiko.AUTH_FAILED)
        del self.chain[0]
        return int(paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.chain else paramiko.AUTH_SUCCESSFUL)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._judge("publickey", key.asbytes() == self.keyring.user_keys["ssh-ed25519"].public_key.blob)

    def check_auth_password(self, username: str, password: str) -> int:
        return self._judge("password", password == PASSWORD)

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return paramiko.InteractiveQuery("Two steps", "Look at your token.", ("Code: ", False), ("Word: ", True))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return self._judge("keyboard-interactive", list(responses) == [CODE, ANSWERS["Word: "]])

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._exit, args=[channel], name="paramiko command").start()
        return True

    def _exit(self, channel: paramiko.Channel) -> None:
        while channel.recv(1 << 16):
            pass
        channel.send_exit_status(7)
        channel.close()
        self.done.set()


def serve_paramiko(keyring: Keyring, listener: socket.socket, chain: list[str]) -> None:
    """One connection, until it ends."""
    with listener:
        listener.settimeout(30)
        sock, _ = listener.accept()
    with sock:
        transport = paramiko.Transport(sock)
        try:
            transport.add_server_key(paramiko.PKey.from_path(keyring.host_key_file("ssh-ed25519")))
            rules = Rules(keyring, chain)
            transport.start_server(server=rules)
            transport.join(30)
        finally:
            transport.close()
            transport.join(30)


@pytest.fixture
def paramiko_serving(keyring: Keyring, nursery: trio.Nursery, deadline: None) -> Callable[[list[str]], int]:
    """``port = paramiko_serving(["publickey", "password"])``: for one connection."""

    def start(chain: list[str]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        nursery.start_soon(trio.to_thread.run_sync, partial(serve_paramiko, keyring, listener, chain))
        port: int = listener.getsockname()[1]
        return port

    return start


@pytest.mark.parametrize(
    "chain",
    [
        ["password"],
        ["keyboard-interactive"],
        ["publickey", "keyboard-interactive"],
        ["publickey", "password", "keyboard-interactive"],
        ["keyboard-interactive", "publickey"],
    ],
    ids=",".join,
)
async def test_paramiko(chain: list[str], keyring: Keyring, paramiko_serving: Callable[[list[str]], int]):
    port = paramiko_serving([*chain])
    async with connecting(keyring, port, [key(keyring), *(make() for make in METHODS.values())]) as client:
        assert client.authenticated_by == tuple(chain)
        assert (await client.run_process("x", check=False)).exit_status == 7
