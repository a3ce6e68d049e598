"""OpenSSH's ssh, and our own client, into a server of ours whose passwords PAM checks; the client's user is a script."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

import trio_ssh
from tests.interop.keyring import Keyring
from tests.interop.openssh import SSH
from tests.interop.services import StartServer
from tests.server.pam_services import ACCOUNT, EXPIRED, SECRET, Services

USER = f"""#!/bin/sh
echo "$1" >> "$(dirname "$0")/asked"
case "$1" in
*Retype*|*new*|*New*) echo "a new one" ;;
*) echo "{SECRET}" ;;
esac
"""


@pytest.fixture
def pam_services(tmp_path: Path) -> Services:
    found = Services.make(tmp_path)
    found.script("user", USER)
    return found


def by(method: str) -> dict[str, str]:
    return {
        "BatchMode": "no",
        "PreferredAuthentications": method,
        "PubkeyAuthentication": "no",
        "NumberOfPasswordPrompts": "1",
    }


def answering(services: Services, **more: str) -> Mapping[str, str]:
    return {"SSH_ASKPASS": str(services.folder / "user"), "SSH_ASKPASS_REQUIRE": "force", **more}


def asked(services: Services) -> list[str]:
    """What the script was shown, line by line."""
    return (services.folder / "asked").read_text().splitlines()


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
async def test_ssh_with_a_password_that_pam_takes(method, keyring: Keyring, serve_ours: StartServer, pam_services: Services):
    pam = pam_services.pam(pam_services.check, ACCOUNT)
    server = await serve_ours(authenticate=trio_ssh.any_of(pam.passwords(), pam.keyboard_interactive()))
    done = await SSH(keyring, server.port).run("echo", input=b"x", options=by(method), environ=answering(pam_services))
    assert (done.returncode, done.stdout) == (0, b"x"), done.stderr
    assert pam_services.seen == [f"{getpass.getuser()}/127.0.0.1/ssh/test"]


async def test_ssh_changes_an_expired_password(keyring: Keyring, serve_ours: StartServer, pam_services: Services):
    for method in ("password", "keyboard-interactive"):
        pam = pam_services.pam(pam_services.check, *EXPIRED)
        server = await serve_ours(authenticate=trio_ssh.any_of(pam.passwords(), pam.keyboard_interactive()))
        done = await SSH(keyring, server.port).run("echo", input=b"x", options=by(method), environ=answering(pam_services))
        assert done.returncode == 0, (method, done.stderr)
    assert any("Retype new STRESS password:" in line for line in asked(pam_services))


async def test_ssh_with_a_key_and_then_pam(keyring: Keyring, serve_ours: StartServer, pam_services: Services):
    """Two factors, and PAM's word on the account for the one that is not its own."""
    pam = pam_services.pam(pam_services.check, ACCOUNT)
    keys = pam.with_accounts(trio_ssh.AuthorizedKeys.from_file(keyring.authorized_keys))
    server = await serve_ours(authenticate=trio_ssh.all_of(keys, pam.keyboard_interactive()))
    options = {**by("publickey,keyboard-interactive"), "PubkeyAuthentication": "yes"}
    done = await SSH(keyring, server.port).run("echo", input=b"x", options=options, environ=answering(pam_services))
    assert (done.returncode, done.stdout) == (0, b"x"), done.stderr
    without = await SSH(keyring, server.port).run("echo", options={**options, "KbdInteractiveAuthentication": "no"})
    assert without.returncode == 255


async def test_our_client_answers_what_pam_asks(keyring: Keyring, serve_ours: StartServer, pam_services: Services):
    pam = pam_services.pam(pam_services.check, *EXPIRED)
    server = await serve_ours(authenticate=pam.keyboard_interactive())
    asked: list[list[str]] = []

    async def answer(question: trio_ssh.Asked) -> list[str]:
        texts = [prompt.text for prompt in question.prompts]
        asked.append(texts)
        return ["a new one" if "new" in text else SECRET for text in texts]

    with trio.fail_after(20):
        async with trio_ssh.connect(
            "127.0.0.1",
            server.port,
            username="alice",
            credentials=[trio_ssh.KeyboardInteractive(answer)],
            host_keys=trio_ssh.KnownHosts([keyring.known_hosts]),
        ) as client:
            assert (await client.run_process("echo", input=b"x")).exit_status == 0
    assert asked == [["Password: "], ["Enter new STRESS password: ", "Retype new STRESS password: "]]
