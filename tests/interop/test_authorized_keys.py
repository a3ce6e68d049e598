"""Options of authorized_keys and of principals: OpenSSH's `sshd` and our server come to the same outcome, each asked by OpenSSH's `ssh`.

One file has a line for each case, with a key of its own; both servers read that file, and likewise one file of principals.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

import trio_ssh
from tests.interop.keyring import Keyring
from tests.interop.openssh import SSH, SSHD, running_sshd
from tests.interop.services import StartServer
from trio_ssh import CertificateKind, CertificateRequest, PrivateKey
from trio_ssh.server.login_shell import login_shell

USER = getpass.getuser()
PTY = {"permit-pty": b""}
REFUSED = (255, b"")
NO_TERMINAL = (255, b"no terminal")
IN = (0, b"in\n")


@attrs.frozen
class Case:
    """The options of a line (``cert-authority`` among them: then the key there is an authority, and `certificate` what the client shows),
    what is asked for, and what must come of it: exit status and output."""

    options: str
    outcome: tuple[int, bytes] = IN
    words: tuple[str, ...] = ("echo in",)
    flags: tuple[str, ...] = ()
    certificate: dict[str, object] | None = None
    behind: str = ""
    """Stands behind the key."""


TERMINAL = "test -t 0 && echo terminal || echo none"

CASES = {
    "plain": Case(""),
    "from-address": Case('from="127.0.0.1"'),
    "from-network": Case('from="10.0.0.0/8,127.0.0.0/8"'),
    "from-pattern": Case('from="127.*.0.?"'),
    "from-elsewhere": Case('from="192.0.2.0/24"', REFUSED),
    "from-left-out": Case('from="127.0.0.0/8,!127.0.0.1"', REFUSED),
    "from-left-out-only": Case('from="!192.0.2.1"', REFUSED),
    "from-name": Case('from="localhost,*.example"', REFUSED),
    "from-empty": Case('from=""', REFUSED),
    "from-bits-behind-the-mask": Case('from="127.0.0.1,127.0.0.1/8"', REFUSED),
    "expired": Case('expiry-time="20200101"', REFUSED),
    "not-expired": Case('expiry-time="20991231"'),
    "the-earliest-expires": Case('expiry-time="20991231",expiry-time="20200101"', REFUSED),
    "expiry-nonsense": Case('expiry-time="2099123"', REFUSED),
    "command": Case('command="echo \\"forced: $SSH_ORIGINAL_COMMAND\\""', (0, b"forced: echo in\n")),
    "command-for-shell": Case('command="echo \\"forced: ${SSH_ORIGINAL_COMMAND-none}\\"; exit 3"', (3, b"forced: none\n"), ()),
    "command-for-subsystem": Case('command="echo forced"', (0, b"forced\n"), ("sftp",), ("-s",)),
    "command-empty": Case('command=""', (0, b"")),
    "command-twice": Case('command="echo 1",command="echo 1"', REFUSED),
    "command-at-terminal": Case(f'command="{TERMINAL}"', (0, b"terminal\r\n"), ("x",), ("-tt",)),
    "environment": Case(
        'environment="KEY_A=1 2",environment="KEY_A=3",Environment="KEY_B="',
        (0, b"1 2||none\n"),
        ('echo "$KEY_A|$KEY_B|${KEY_C-none}"',),
    ),
    "environment-above-clients": Case(
        'environment="LC_A=key"', (0, b"key client\n"), ('echo "$LC_A $LC_B"',), ("-o", "SetEnv=LC_A=client LC_B=client")
    ),
    "environment-nonsense": Case('environment="A-B=1"', REFUSED),
    "restrict": Case("restrict", NO_TERMINAL, (TERMINAL,), ("-tt",)),
    "restrict-pty": Case("restrict,pty", (0, b"terminal\r\n"), (TERMINAL,), ("-tt",)),
    "pty-restrict": Case("pty,restrict", NO_TERMINAL, (TERMINAL,), ("-tt",)),
    "no-pty": Case("No-PTY", NO_TERMINAL, (TERMINAL,), ("-tt",)),
    "all-flags": Case("no-X11-forwarding,agent-forwarding,no-port-forwarding,user-rc,no-touch-required,verify-required"),
    "lists": Case('permitopen="[::1]:*",permitopen="h:1",permitlisten="8080",permitlisten="*.x:1",tunnel="3"'),
    "permitopen-nonsense": Case('permitopen="80"', REFUSED),
    "comma-too-many": Case("restrict,", NO_TERMINAL, (TERMINAL,), ("-tt",)),
    "unknown": Case("restrict,unknown", REFUSED),
    "open-quote": Case('command="echo', REFUSED),
    "blank-in-between": Case("restrict, pty", REFUSED),
    "behind-the-key": Case("", behind='command="echo forced",restrict'),
    "principals-without-authority": Case(f'principals="{USER}"', REFUSED),
    "authority-by-its-own-key": Case("cert-authority", REFUSED),
    "certificate": Case("cert-authority", certificate={"principals": ("x", USER)}),
    "certificate-for-another": Case("cert-authority", REFUSED, certificate={"principals": ("x",)}),
    "certificate-of-a-plain-line": Case("restrict", REFUSED, certificate={"principals": (USER,)}),
    "principals": Case('cert-authority,principals="ops,admins"', certificate={"principals": ("admins",)}),
    "principals-another": Case('cert-authority,principals="ops,admins"', REFUSED, certificate={"principals": (USER,)}),
    "principals-comma": Case('cert-authority,principals="ops,admins"', REFUSED, certificate={"principals": ("ops,admins",)}),
    "principals-none": Case('cert-authority,principals=""', REFUSED, certificate={"principals": (USER,)}),
    "certificate-expired": Case("cert-authority", REFUSED, certificate={"principals": (USER,), "valid_before": 1577836800}),
    "certificate-of-a-host": Case("cert-authority", REFUSED, certificate={"principals": (USER,), "kind": CertificateKind.HOST}),
    "certificate-from-elsewhere": Case(
        "cert-authority", REFUSED, certificate={"principals": (USER,), "critical_options": {"source-address": "192.0.2.0/24"}}
    ),
    "certificate-from-here": Case(
        "cert-authority", certificate={"principals": (USER,), "critical_options": {"source-address": "192.0.2.1,127.0.0.0/8"}}
    ),
    "certificate-unheard-of": Case(
        "cert-authority", REFUSED, certificate={"principals": (USER,), "critical_options": {"unheard-of@example.org": b""}}
    ),
    "certificate-forces": Case(
        "cert-authority", (0, b"forced\n"), certificate={"principals": (USER,), "critical_options": {"force-command": "echo forced"}}
    ),
    "both-force-the-same": Case(
        'cert-authority,command="echo forced"',
        (0, b"forced\n"),
        certificate={"principals": (USER,), "critical_options": {"force-command": "echo forced"}},
    ),
    "both-force-others": Case(
        'cert-authority,command="echo other"',
        REFUSED,
        certificate={"principals": (USER,), "critical_options": {"force-command": "echo forced"}},
    ),
    "certificate-with-terminal": Case(
        "cert-authority", (0, b"terminal\r\n"), (TERMINAL,), ("-tt",), certificate={"principals": (USER,), "extensions": PTY}
    ),
    "certificate-without-terminal": Case("cert-authority", NO_TERMINAL, (TERMINAL,), ("-tt",), certificate={"principals": (USER,)}),
    "line-without-terminal": Case(
        "cert-authority,no-pty", NO_TERMINAL, (TERMINAL,), ("-tt",), certificate={"principals": (USER,), "extensions": PTY}
    ),
}


@attrs.frozen
class Stage:
    """The file of keys, `sshd` that reads it, and where each case's identity is."""

    folder: Path
    sshd: SSHD
    authority: PrivateKey
    """Trusted for all users, as far as `PRINCIPALS` says."""

    @property
    def authorized_keys(self) -> Path:
        return self.folder / "authorized_keys"

    @property
    def principals(self) -> Path:
        return self.folder / "allowed"

    def identity(self, name: str) -> dict[str, object]:
        options: dict[str, object] = {"IdentityFile": self.folder / name}
        certificate = self.folder / f"{name}-cert.pub"
        return {**options, "CertificateFile": certificate} if certificate.exists() else options


@pytest.fixture(scope="module")
def stage(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("authorized_keys")
    lines = [prepared(folder, name, case) for name, case in CASES.items()]
    (folder / "authorized_keys").write_text("# one a case\n\n" + "".join(lines))
    authority = PrivateKey.generate()
    (folder / "authorities").write_text(f"# one only\n{authority.public_key.to_openssh_line()}\n")
    (folder / "allowed").write_text(PRINCIPALS)
    extra = [
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"TrustedUserCAKeys {folder / 'authorities'}",
        f"AuthorizedPrincipalsFile {folder / 'allowed'}",
        "PermitUserEnvironment yes",
        "LogLevel INFO",
    ]
    with running_sshd(keyring, folder, extra=extra) as sshd:
        yield Stage(folder, sshd, authority)


def prepared(folder: Path, name: str, case: Case) -> str:
    """Writes the client's files, and gives the line."""
    key = listed = PrivateKey.generate()
    key.write_file(folder / name)
    if case.certificate is not None:
        listed = PrivateKey.generate()
        request = CertificateRequest(public_key=key.public_key, **case.certificate)  # type: ignore[arg-type]
        (folder / f"{name}-cert.pub").write_text(trio_ssh.sign_certificate(listed, request).to_openssh_line() + "\n")
    return f"{case.options} {listed.public_key.to_openssh_line()} {case.behind}".strip() + "\n"


@pytest.mark.parametrize("name", CASES)
async def test_b18_each_line_has_the_same_outcome_with_sshd_and_with_us(name: str, stage: Stage, serve_ours: StartServer):
    case = CASES[name]
    policy = trio_ssh.AuthorizedKeys.from_file(stage.authorized_keys)
    found = await outcomes(case, stage, stage.identity(name), serve_ours, policy)
    assert found == {"sshd": case.outcome, "ours": case.outcome}


async def outcomes(
    case: Case, stage: Stage, identity: dict[str, object], serve_ours: StartServer, policy: trio_ssh.Authenticator
) -> dict[str, tuple[int, bytes]]:
    keyring = stage.sshd.keyring
    ours = await serve_ours(login_shell(environ={"HOME": str(keyring.folder)}), authenticate=policy)
    found: dict[str, tuple[int, bytes]] = {}

    async def ask(server: str, port: int) -> None:
        done = await SSH(keyring, port).run(*case.words, flags=case.flags, options=identity)
        output = b"no terminal" if b"PTY allocation request failed" in done.stderr else done.stdout
        found[server] = done.returncode, output

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "sshd", stage.sshd.port)
        nursery.start_soon(ask, "ours", ours.port)
    return found


# --- principals --------------------------------------------------------------------------------------------------------------------------

PRINCIPALS = """
# who may enter every account
restrict,command="echo $SSH_ORIGINAL_COMMAND by ops" ops
from="192.0.2.0/24" elsewhere
admins # and what they may do
\tno-pty,environment="A=b c"  helpers
unknown mistaken
cert-authority authority
principals="x" listed
two,names
"""

BY_PRINCIPALS = {
    ("ops",): Case("", (0, b"echo in by ops\n")),
    ("admins",): Case("", (0, b"terminal\r\n"), (TERMINAL,), ("-tt",)),
    ("helpers",): Case("", (0, b"b c\n"), ("echo $A",)),
    ("helpers", "x"): Case("", NO_TERMINAL, (TERMINAL,), ("-tt",)),
    ("elsewhere",): Case("", REFUSED),
    ("mistaken",): Case("", REFUSED),
    ("authority",): Case("", REFUSED),
    ("listed",): Case("", REFUSED),
    ("two",): Case("", REFUSED),
    ("two,names",): Case(""),
    ("ops,admins",): Case("", REFUSED),
    (USER,): Case("", REFUSED),
    (): Case("", REFUSED),
}


@pytest.mark.parametrize("principals", BY_PRINCIPALS, ids="+".join)
async def test_b14_principals_let_in_as_with_sshd(principals: tuple[str, ...], stage: Stage, serve_ours: StartServer):
    case = BY_PRINCIPALS[principals]
    key = PrivateKey.generate()
    name = f"by_{'+'.join(principals)}"
    key.write_file(stage.folder / name)
    request = CertificateRequest(public_key=key.public_key, principals=principals, extensions=PTY)
    (stage.folder / f"{name}-cert.pub").write_text(trio_ssh.sign_certificate(stage.authority, request).to_openssh_line())

    async def all_principals(username: str) -> tuple[trio_ssh.AuthorizedPrincipal, ...]:
        return trio_ssh.read_authorized_principals(stage.principals).entries

    policy = trio_ssh.TrustedUserCA(stage.folder / "authorities", all_principals)
    found = await outcomes(case, stage, stage.identity(name), serve_ours, policy)
    assert found == {"sshd": case.outcome, "ours": case.outcome}
