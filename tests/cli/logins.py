"""Logins by the rules of a configuration, without a connection: a configuration's text, a name, an attempt."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from trio_ssh import AuthAttempt, Certificate, CertificateKind, Login, LoginRules, PrivateKey, PublicKey, Verdict
from trio_ssh.cli.account_rules import AccountRules
from trio_ssh.config import SSHDConfig
from trio_ssh.connection.factors import chains_of
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate

ME = pwd.getpwuid(os.getuid()).pw_name
NOW = 1_800_000_000.0
KEY = PrivateKey.generate()
OTHER = PrivateKey.generate()
AUTHORITY = PrivateKey.generate()


def rules_of(text: str, **changes: Any) -> AccountRules:
    """Those of a configuration; root may log in unless `text` says otherwise."""
    config = SSHDConfig.from_text(f"{text}\nPermitRootLogin yes\n")
    return AccountRules(config, **{"clock": lambda: NOW, **changes})


async def login(rules: AccountRules, username: str = ME, **changes: Any) -> LoginRules:
    ends = {"peer": "192.0.2.7 port 4711", "address": "192.0.2.7", "local": "127.0.0.1 port 22"}
    return await rules.rules_for(Login(username=username, **{**ends, **changes}))


def methods_of(rules: LoginRules) -> list[list[str]]:
    """The methods of each way in."""
    return [[policy.methods[0] for policy in chain] for chain in chains_of(rules.authenticate)]


def attempt(username: str = ME, key: PublicKey | Certificate | None = None, **changes: Any) -> AuthAttempt:
    found = key or KEY.public_key
    what = {"certificate": found} if isinstance(found, Certificate) else {"public_key": found}
    made = AuthAttempt(
        username=username,
        method="publickey",
        algorithm=found.signature_algorithms[0],
        proven=True,
        peer="192.0.2.7 port 4711",
        address="192.0.2.7",
        **what,
    )
    return attrs.evolve(made, **changes)


async def verdict(text: str, key: PublicKey | Certificate | None = None, username: str = ME, **changes: Any) -> Verdict:
    """What the one policy of public keys says to an attempt with a key."""
    rules = await login(rules_of(text), username)
    (chain,) = [chain for chain in chains_of(rules.authenticate) if chain[0].methods == ("publickey",)]
    return await chain[0](attempt(username, key, **changes))


def lines_file(path: Path, *lines: str) -> Path:
    """A file that nobody else may write to."""
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return path


def line_of(key: PrivateKey, options: str = "") -> str:
    line = key.public_key.to_openssh_line()
    return f"{options} {line}" if options else line


def certificate(principals: Sequence[str] = (ME,), authority: PrivateKey = AUTHORITY, **changes: Any) -> Certificate:
    request = CertificateRequest(
        public_key=KEY.public_key,
        kind=CertificateKind.USER,
        principals=tuple(principals),
        valid_after=0,
        valid_before=int(NOW) + 60,
        key_id="of a test",
        serial=7,
        **changes,
    )
    return sign_certificate(authority, request)
