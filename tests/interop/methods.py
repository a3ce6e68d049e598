"""What the tests of methods have in common: our server's policies, certificates, and a program that answers OpenSSH's questions."""

from __future__ import annotations

import stat
from pathlib import Path

import attrs

import trio_ssh
from tests.interop.keyring import Keyring
from tests.interop.services import PASSWORD
from trio_ssh import PrivateKey, Prompt, Verdict
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate

NEW_PASSWORD = "battery staple"
CODE, PIN = "424242", "0000"


@attrs.define(eq=False)
class Accounts:
    """Passwords that can be changed; one that `has_expired` must be."""

    password: str = PASSWORD
    has_expired: bool = False

    async def check(self, username: str, password: str) -> bool | Verdict:
        right = password == self.password
        if right and self.has_expired:
            return Verdict(accepted=False, change_password="Your password has expired.")
        return right

    async def change(self, username: str, old: str, new: str) -> bool:
        if old != self.password:
            return False
        self.password, self.has_expired = new, False
        return True


async def ask_for_codes(attempt: trio_ssh.AuthAttempt) -> bool:
    """Two rounds, the second with two questions."""
    (code,) = await attempt.ask([Prompt("Code: ")], "Two steps", "Look at your token.")
    pin, word = await attempt.ask([Prompt("PIN: "), Prompt("Word: ", echo=True)])
    return (code, pin, word) == (CODE, PIN, "yes")


ANSWERS = {"Code: ": CODE, "PIN: ": PIN, "Word: ": "yes"}

CODES = trio_ssh.KeyboardInteractiveServer(ask_for_codes)


async def answer_codes(asked: trio_ssh.Asked) -> list[str]:
    """Our user."""
    return [ANSWERS[prompt.text] for prompt in asked.prompts]


def key_policy(keyring: Keyring) -> trio_ssh.AuthorizedKeys:
    return trio_ssh.AuthorizedKeys.from_file(keyring.authorized_keys)


@attrs.frozen
class Authority:
    """A CA, and what it signs."""

    key: PrivateKey = attrs.field(factory=PrivateKey.generate)

    def of_user(self, key: PrivateKey, **fields: object) -> trio_ssh.CertifiedKey:
        """A user's certificate; for "ada" and everything that is usual, unless `fields` say otherwise."""
        usual = {"principals": ("ada",), "extensions": {"permit-pty": b"", "permit-port-forwarding": b""}, "key_id": "ada's"}
        return self._sign(key, trio_ssh.CertificateKind.USER, {**usual, **fields})

    def of_host(self, key: PrivateKey, **fields: object) -> trio_ssh.CertifiedKey:
        """A host's, for 127.0.0.1."""
        return self._sign(key, trio_ssh.CertificateKind.HOST, {"principals": ("127.0.0.1",), "key_id": "the host's", **fields})

    def _sign(self, key: PrivateKey, kind: trio_ssh.CertificateKind, fields: dict[str, object]) -> trio_ssh.CertifiedKey:
        request = CertificateRequest(public_key=key.public_key, kind=kind, **fields)  # type: ignore[arg-type]
        return trio_ssh.CertifiedKey(key, sign_certificate(self.key, request))

    def write_known_hosts(self, path: Path) -> Path:
        path.write_text(f"@cert-authority * {self.key.public_key.to_openssh_line()}\n")
        return path


def write_certified(certified: trio_ssh.CertifiedKey, path: Path) -> Path:
    """The key and its certificate as files, the way that OpenSSH looks for them."""
    certified.key.write_file(path)
    path.with_name(f"{path.name}-cert.pub").write_text(certified.certificate.to_openssh_line() + "\n")
    path.with_name(f"{path.name}.pub").write_text(certified.key.public_key.to_openssh_line() + "\n")
    return path


def write_askpass(path: Path, answers: dict[str, str]) -> Path:
    """A program for SSH_ASKPASS: for each part of a question, what it says. It fails for any other."""
    cases = "".join(f"  *{part!r}*) echo {answer!r};;\n" for part, answer in answers.items())
    path.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}  *) exit 1;;\nesac\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
