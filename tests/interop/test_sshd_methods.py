"""OpenSSH's ssh into trio-sshd, configured as sshd is: by key, certificate, password and PAM, by several of them, and what is held then."""

from __future__ import annotations

import logging
import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

import trio_ssh
from tests.cli.tools import Home, running, tool
from tests.interop.keyring import Keyring
from tests.interop.methods import Authority
from tests.interop.openssh import SSH
from tests.server.pam_services import ACCOUNT, SECRET, Services
from trio_ssh.cli.sshd_server import Server
from trio_ssh.config import SSHDConfig
from trio_ssh.server.shadow import ShadowEntry, ShadowPasswords

ME = pwd.getpwuid(os.getuid()).pw_name
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can check passwords")
ASKPASS = f"""#!/bin/sh
echo "{SECRET}"
"""


@attrs.frozen
class Started:
    """A server in the test's nursery, and OpenSSH's client for it."""

    server: Server
    ssh: SSH
    folder: Path

    async def run(
        self,
        command: str = "echo in",
        *,
        key_type: str = "ssh-ed25519",
        options: Mapping[str, object] | None = None,
        flags: Sequence[str] = (),
        ask: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        askpass = self.folder / "askpass"
        askpass.write_text(ASKPASS)
        askpass.chmod(0o755)
        environ = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"} if ask else {}
        batch = {"BatchMode": "no", "NumberOfPasswordPrompts": "1"} if ask else {}
        return await self.ssh.run(command, key_type=key_type, flags=flags, options={**batch, **(options or {})}, environ=environ)

    async def outcome(self, command: str = "echo in", **how: object) -> str:
        """What it says, or "refused"."""
        done = await self.run(command, **how)  # type: ignore[arg-type]
        return done.stdout.decode().strip() if done.returncode != 255 else "refused"


@attrs.frozen
class Start:
    keyring: Keyring
    nursery: trio.Nursery
    folder: Path

    async def __call__(self, text: str, *, keys: Path | None = None, **changes: object) -> Started:
        """`text` stands above what is usual here; `changes` are of the server's `AccountRules`."""
        keyring = self.keyring
        usual = f"""
            HostKey {keyring.host_key_file("ssh-ed25519")}
            AuthorizedKeysFile {keys or keyring.authorized_keys}
            StrictModes no
            PermitRootLogin yes
            PerSourcePenalties no
        """
        blocks = text.find("Match ")
        above, below = (text, "") if blocks < 0 else (text[:blocks], text[blocks:])
        config = SSHDConfig.from_text(f"{above}\n{usual}\n{below}", "config")
        server = Server.of(config)
        for name, value in changes.items():
            setattr(server.rules, name, value)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.nursery.start_soon(partial(server.serve_all, listeners))  # type: ignore[arg-type]
        return Started(server, SSH(keyring, listeners[0].socket.getsockname()[1]), self.folder)


@pytest.fixture
def start(keyring: Keyring, nursery: trio.Nursery, tmp_path: Path, deadline: None) -> Start:
    return Start(keyring, nursery, tmp_path)


def keys_file(folder: Path, keyring: Keyring, options: str, key_type: str = "ssh-ed25519") -> Path:
    path = folder / f"keys-{key_type}"
    path.write_text(f"{options} {keyring.user_keys[key_type].public_key.to_openssh_line()}\n".lstrip())
    return path


# --- keys --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", ["ssh-ed25519", "ecdsa-sha2-nistp384", "ssh-rsa"])
async def test_by_public_key(key_type: str, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    started = await start("")
    assert await started.outcome(key_type=key_type) == "in"
    names = {"ssh-ed25519": "ED25519", "ecdsa-sha2-nistp384": "ECDSA", "ssh-rsa": "RSA"}
    fingerprint = started.ssh.keyring.user_keys[key_type].public_key.fingerprint()
    (line,) = [line for line in caplog.messages if line.startswith("Accepted")]
    assert line.startswith(f"Accepted publickey for {ME} from 127.0.0.1 port ")
    assert line.endswith(f" ssh2: {names[key_type]} {fingerprint}")
    assert await started.outcome(options={"IdentityFile": started.ssh.keyring.folder / "user_stranger"}) == "refused"


@pytest.mark.parametrize(
    ("options", "command", "outcome"),
    [
        ("", "echo in", "in"),
        ('command="echo forced $SSH_ORIGINAL_COMMAND"', "echo in", "forced echo in"),
        ('from="127.0.0.0/8"', "echo in", "in"),
        ('from="!127.0.0.1,127.0.0.0/8"', "echo in", "refused"),
        ('from="192.0.2.0/24"', "echo in", "refused"),
        ('expiry-time="20990101Z"', "echo in", "in"),
        ('expiry-time="20200101Z"', "echo in", "refused"),
        ("restrict", "tty", "refused"),  # ssh gives up where it was told to have a terminal
        ("restrict,pty", "tty", "/dev/pts/"),
        ("no-pty", "tty", "refused"),
        ("pty", "tty", "/dev/pts/"),
        ('environment="A=1"', "echo A=$A", "A="),
        ("frobnicate", "echo in", "refused"),
        ("cert-authority", "echo in", "refused"),
    ],
)
async def test_what_a_line_says(options: str, command: str, outcome: str, keyring: Keyring, start: Start, tmp_path: Path) -> None:
    started = await start("", keys=keys_file(tmp_path, keyring, options))
    found = await started.outcome(command, options={"RequestTTY": "force"} if command == "tty" else {})
    assert found.startswith(outcome) if outcome.endswith("/") else found == outcome


@pytest.mark.parametrize(
    ("text", "command", "outcome"),
    [
        ('ForceCommand echo "a  b" $SSH_ORIGINAL_COMMAND', "echo in", "a  b echo in"),
        (f"Match User {ME}\nForceCommand echo forced", "echo in", "forced"),
        ("Match User somebody\nForceCommand echo forced", "echo in", "in"),
        ("Match Address 127.0.0.0/8\nPermitTTY no", "tty", "refused"),
        ("SetEnv A=1 'B=two words'", "echo $A-$B", "1-two words"),
        ("PermitUserEnvironment A*", "echo $A1$B", "yes"),
        ("DenyUsers *@127.0.0.1", "echo in", "refused"),
        ("AllowUsers somebody", "echo in", "refused"),
        ("MaxSessions 0", "echo in", "refused"),
        ("PermitRootLogin no", "echo in", "refused" if os.getuid() == 0 else "in"),
        ("PubkeyAcceptedAlgorithms rsa-sha2-512", "echo in", "refused"),
        pytest.param("PubkeyAuthentication no", "echo in", "refused", marks=only_root),
    ],
)
async def test_what_the_configuration_says(text: str, command: str, outcome: str, keyring: Keyring, start: Start, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, keyring, 'environment="A1=yes",environment="B=no"')
    started = await start(text, keys=keys)
    assert await started.outcome(command, options={"RequestTTY": "force"} if command == "tty" else {}) == outcome


async def test_a_configured_forced_command_stands_above_a_keys(keyring: Keyring, start: Start, tmp_path: Path) -> None:
    started = await start("ForceCommand echo configured", keys=keys_file(tmp_path, keyring, 'command="echo key"'))
    assert await started.outcome() == "configured"


async def test_a_banner(start: Start, tmp_path: Path) -> None:
    (tmp_path / "banner").write_text("Nobody but us.\n")
    started = await start(f"Banner {tmp_path}/banner")
    done = await started.run(options={"LogLevel": "INFO"})
    assert b"Nobody but us." in done.stderr


# --- certificates ------------------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Certified:
    """A user's key with a certificate, for ssh."""

    authority: Authority
    keyring: Keyring
    folder: Path

    @property
    def ca_line(self) -> str:
        return self.authority.key.public_key.to_openssh_line()

    @property
    def ca_file(self) -> Path:
        path = self.folder / "ca.pub"
        path.write_text(self.ca_line + "\n")
        return path

    def options(self, **fields: object) -> dict[str, object]:
        certified = self.authority.of_user(self.keyring.user_keys["ssh-ed25519"], **{"principals": (ME,), "serial": 7, **fields})
        path = self.folder / "user-cert.pub"
        path.write_text(certified.certificate.to_openssh_line() + "\n")
        return {"CertificateFile": path}


@pytest.fixture
def certified(keyring: Keyring, tmp_path: Path) -> Certified:
    return Certified(Authority(), keyring, tmp_path)


async def test_by_a_trusted_authority(certified: Certified, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    started = await start(f"AuthorizedKeysFile none\nTrustedUserCAKeys {certified.ca_file}")
    assert await started.outcome(options=certified.options()) == "in"
    key, ca = (key.public_key.fingerprint() for key in (certified.keyring.user_keys["ssh-ed25519"], certified.authority.key))
    assert any(line.endswith(f" ssh2: ED25519-CERT {key} ID ada's (serial 7) CA ED25519 {ca}") for line in caplog.messages)
    assert await started.outcome() == "refused"
    assert await started.outcome(options=certified.options(principals=("somebody",))) == "refused"
    assert await started.outcome(options=certified.options(valid_before=1)) == "refused"


async def test_by_principals_of_a_file(certified: Certified, start: Start, tmp_path: Path) -> None:
    (tmp_path / ME).write_text('# who may\nweb\ncommand="echo for db" db\n')
    text = f"TrustedUserCAKeys {certified.ca_file}\nAuthorizedPrincipalsFile {tmp_path}/%u\nAuthorizedKeysFile none"
    started = await start(text)
    assert await started.outcome(options=certified.options(principals=("web",))) == "in"
    assert await started.outcome(options=certified.options(principals=("x", "db"))) == "for db"
    assert await started.outcome(options=certified.options()) == "refused"


async def test_by_a_line_of_an_authority(certified: Certified, start: Start, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f'cert-authority,principals="web" {certified.ca_line}\n')
    started = await start(f"AuthorizedKeysFile {tmp_path}/keys")
    assert await started.outcome(options=certified.options(principals=("web",))) == "in"
    assert await started.outcome(options=certified.options()) == "refused"


@only_root
async def test_b06_limits_of_a_certificate_hold_behind_a_password(certified: Certified, start: Start) -> None:
    """Whatever further method succeeds: the forced command, the address."""
    text = f"AuthorizedKeysFile none\nTrustedUserCAKeys {certified.ca_file}\nAuthenticationMethods publickey,password"
    started = await start(text, shadow=passwords())
    forced = certified.options(critical_options={"force-command": "echo forced"})
    assert await started.outcome(options=forced, ask=True) == "forced"
    near = certified.options(critical_options={"source-address": "127.0.0.0/8"})
    assert await started.outcome(options=near, ask=True) == "in"
    far = certified.options(critical_options={"source-address": "192.0.2.0/24"})
    assert await started.outcome(options=far, ask=True) == "refused"
    unknown = certified.options(critical_options={"frobnicate": "yes"})
    assert await started.outcome(options=unknown, ask=True) == "refused"


# --- passwords, PAM, several factors -----------------------------------------------------------------------------------------------------


def passwords() -> ShadowPasswords:
    """The password of everybody, hashed in a way that costs nothing."""
    return ShadowPasswords(entry_of=lambda _: ShadowEntry("$" + SECRET), hash_password=lambda password, _: "$" + password)


@pytest.fixture
def service(tmp_path: Path) -> str:
    """Settings for a service of PAM that knows one password."""
    services = Services.make(tmp_path)
    services.pam(services.check, ACCOUNT)
    return "UsePAM yes\nPAMServiceName test"


@only_root
async def test_by_password(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    started = await start("PubkeyAuthentication no", shadow=passwords())
    assert await started.outcome(ask=True) == "in"
    assert any(line.startswith(f"Accepted password for {ME} from 127.0.0.1 port ") for line in caplog.messages)
    wrong = await start("PubkeyAuthentication no", shadow=attrs.evolve(passwords(), entry_of=lambda _: ShadowEntry("$other")))
    assert await wrong.outcome(ask=True) == "refused"
    assert any(line.startswith(f"Failed password for {ME} from 127.0.0.1 port ") for line in caplog.messages)


@only_root
@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_by_pam(method: str, start: Start, service: str, tmp_path: Path) -> None:
    started = await start(f"{service}\nPubkeyAuthentication no", pam_folder=str(tmp_path))
    assert await started.outcome(ask=True, options={"PreferredAuthentications": method}) == "in"
    closed = await start(f"{service}\nPubkeyAuthentication no\nDenyUsers {ME}", pam_folder=str(tmp_path))
    assert await closed.outcome(ask=True, options={"PreferredAuthentications": method}) == "refused"


@only_root
@pytest.mark.parametrize(
    ("methods", "left_out", "words"),
    [
        ("publickey,keyboard-interactive:pam", "", ["Partial publickey", "Accepted keyboard-interactive"]),
        ("publickey,keyboard-interactive", "KbdInteractiveAuthentication", ["Partial publickey"]),
        (
            "publickey,password publickey,keyboard-interactive",
            "PasswordAuthentication",
            ["Partial publickey", "Accepted keyboard-interactive"],
        ),
        ("password,publickey", "", ["Partial password", "Accepted publickey"]),
        ("publickey,publickey", "", ["Partial publickey", "Accepted publickey"]),
        ("publickey,publickey", "second key", ["Partial publickey"]),
        ("publickey,publickey,password", "", ["Partial publickey", "Partial publickey", "Accepted password"]),
        ("keyboard-interactive,password", "PubkeyAuthentication", ["Partial keyboard-interactive", "Accepted password"]),
    ],
)
async def test_several_factors(
    methods: str, left_out: str, words: list[str], start: Start, service: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    started = await start(f"{service}\nAuthenticationMethods {methods}", pam_folder=str(tmp_path))
    options = {left_out: "no"} if left_out.endswith("Authentication") else {}
    second = [] if left_out == "second key" else ["-i", str(started.ssh.keyring.user_key_file("ecdsa-sha2-nistp256"))]
    assert await started.outcome(ask=True, options=options, flags=second) == ("in" if words[-1].startswith("Accepted") else "refused")
    said = [line.partition(" for ")[0] for line in caplog.messages if " ssh2" in line]
    assert [line for line in said if not line.startswith("Failed")] == words


@only_root
async def test_b07_tries_are_counted(start: Start, service: str, tmp_path: Path) -> None:
    started = await start(f"{service}\nPubkeyAuthentication no\nMaxAuthTries 2", pam_folder=str(tmp_path))
    (tmp_path / "check").write_text(f"#!/bin/sh\necho >> {tmp_path}/tries\nexit 1\n")
    done = await started.run(ask=True, options={"NumberOfPasswordPrompts": "9", "LogLevel": "INFO"})
    assert done.returncode == 255
    assert b"too many authentication failures" in done.stderr.lower()
    assert len((tmp_path / "tries").read_bytes()) == 2


@only_root
async def test_b09_who_does_not_exist_hears_the_same(start: Start) -> None:
    started = await start("", shadow=attrs.evolve(passwords(), entry_of=lambda _: ShadowEntry("$other")))
    heard: list[object] = []
    for username in (ME, "no-such-account"):
        events: list[tuple[str, str, str]] = []

        def observe(event: trio_ssh.Event, events: list[tuple[str, str, str]] = events) -> None:
            if isinstance(event, trio_ssh.AuthAttempted):
                events.append((event.method, event.outcome, event.detail))

        with pytest.raises(trio_ssh.AuthenticationFailed) as caught:
            async with trio_ssh.connect(
                "127.0.0.1",
                started.ssh.port,
                username=username,
                credentials=[trio_ssh.PrivateKeyCredential(started.ssh.keyring.stranger), trio_ssh.Password("wrong")],
                host_keys=trio_ssh.KnownHosts([started.ssh.keyring.known_hosts]),
                observer=observe,
            ):
                pass
        heard.append((events, caught.value.methods_left, caught.value.tried))
    assert heard[0] == heard[1]


@only_root
async def test_e15_no_secret_is_logged(start: Start, service: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    started = await start(f"{service}\nPubkeyAuthentication no", pam_folder=str(tmp_path))
    for method in ("password", "keyboard-interactive"):
        assert await started.outcome(ask=True, options={"PreferredAuthentications": method}) == "in"
    (tmp_path / "check").write_text("#!/bin/sh\nexit 1\n")
    assert await started.outcome(ask=True) == "refused"
    assert SECRET not in caplog.text
    assert any("Accepted" in line for line in caplog.messages)


# --- the tool ----------------------------------------------------------------------------------------------------------------------------


def test_the_tool_reads_a_file_and_reads_it_again(keyring: Keyring, tmp_path: Path) -> None:
    home = Home.make(tmp_path)
    config = tmp_path / "sshd_config"
    text = f"""
        Port 0
        ListenAddress 127.0.0.1
        HostKey {home.host_key}
        AuthorizedKeysFile {home.authorized_keys}
        PerSourcePenalties no
        X11Forwarding yes
    """
    config.write_text(text)
    ssh = f"ssh -F none -i {home.user_key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    with running(tool("sshd", "-D", "-f", str(config)), home.environ) as server:
        command = [*ssh.split(), "-o", "IdentitiesOnly=yes", "-p", str(server.port), f"{ME}@127.0.0.1", "echo", "in"]
        assert home.run(command).stdout == b"in\n"
        for text_now, said in ((f"{text}\nForceCommand echo forced\nPort 9", "started anew: Port"), ("Frobnicate yes", "stays as it was")):
            config.write_text(text_now)
            server.process.send_signal(1)
            server.wait_said(said)
            assert home.run(command).stdout == b"forced\n"
    assert any("X11Forwarding 'yes': nothing is forwarded by this server yet" in line for line in server.log)


def test_a_host_certificate(keyring: Keyring, tmp_path: Path) -> None:
    home, authority = Home.make(tmp_path), Authority()
    certified = authority.of_host(trio_ssh.PrivateKey.from_file(home.host_key))
    (tmp_path / "cert.pub").write_text(certified.certificate.to_openssh_line() + "\n")
    home.known_hosts.write_text(f"@cert-authority * {authority.key.public_key.to_openssh_line()}\n")
    words = ["-D", "-p", "0", "-h", str(home.host_key), "-c", str(tmp_path / "cert.pub"), "-g", "30"]
    options = ["-o", "ListenAddress=127.0.0.1", "-o", f"AuthorizedKeysFile={home.authorized_keys}"]
    ssh = f"ssh -F none -i {home.user_key} -o BatchMode=yes -o UserKnownHostsFile={home.known_hosts} -o GlobalKnownHostsFile=none"
    with running(tool("sshd", *words, *options), home.environ) as server:
        done = home.run([*ssh.split(), "-o", "IdentitiesOnly=yes", "-p", str(server.port), f"{ME}@127.0.0.1", "echo", "in"])
    assert done.stdout == b"in\n", done.stderr
