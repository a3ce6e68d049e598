"""Trust on first use as a new user meets it: at a terminal, from the first question to the command that the refusal names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pytest

from tests.cli.conftest import Place
from tests.cli.tools import AtTerminal, tool
from trio_ssh import PrivateKey
from trio_ssh.keys import randomart

NO_SYSTEM_CONFIG = ("-o", "HashKnownHosts=no")


def command(place: Place, *options: str) -> list[str]:
    return tool("ssh", "-p", str(place.port), "-i", str(place.home.user_key), *NO_SYSTEM_CONFIG, *options, "127.0.0.1", "echo in")


def run_shown(place: Place, words: Sequence[str]) -> str:
    """Run a command that a message has named, as the tool of this very package."""
    assert words[0] == "trio-ssh-keygen"
    done = place.home.run(tool("keygen", *words[1:]))
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.mark.parametrize("how", ["yes", "the fingerprint"])
def test_pain_22_trust_on_first_use(place, how):
    """Asked, saved, silent, changed, refused until the saved key is removed as the message says, asked again."""
    home = place.home
    home.known_hosts.unlink()
    key = PrivateKey.from_file(home.host_key).public_key
    with AtTerminal.run(command(place), home.environ) as terminal:
        shown = terminal.expect(r"(.*)continue connecting \(yes/no/\[fingerprint\]\)\? ")[1].replace("\r\n", "\n")
        assert f"The authenticity of host '[127.0.0.1]:{place.port}' can't be established.\n" in shown
        assert f"ED25519 key fingerprint is {key.fingerprint()}.\n{randomart(key.blob, 'ED25519 256')}\n" in shown
        assert "This key is not known by any other names.\n" in shown
        terminal.type("yes\n" if how == "yes" else f"{key.fingerprint()}\n")
        terminal.expect(r"permanently added '\[127\.0\.0\.1\]:\d+' \(ssh-ed25519\) to .*known_hosts\.\r\n")
        terminal.expect("in\r\n")
        assert terminal.wait() == 0
    saved = home.known_hosts.read_text()
    assert saved == f"[127.0.0.1]:{place.port} {key.to_openssh_line()}\n"

    done = home.run(command(place))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"in\n", b"")

    home.know(place.port, home.user_key)
    with AtTerminal.run(command(place), home.environ) as terminal:
        assert terminal.wait() == 255
        message = terminal.shown.replace("\r\n", " ")
    assert "HAS CHANGED" in message
    assert f"{home.known_hosts} line 1" in message
    assert "continue connecting" not in message
    run_shown(place, shlex.split(message.partition("remove the saved key: ")[2]))
    assert home.known_hosts.read_text() == ""

    with AtTerminal.run(command(place), home.environ) as terminal:
        terminal.expect(r"continue connecting \(yes/no/\[fingerprint\]\)\? ")
        terminal.type("yes\n")
        terminal.expect("in\r\n")
        assert terminal.wait() == 0
    assert home.known_hosts.read_text() == saved


def test_a_key_known_by_another_name_is_said_to_be(place):
    home = place.home
    home.known_hosts.write_text(f"elsewhere.example {PrivateKey.from_file(home.host_key).public_key.to_openssh_line()}\n")
    with AtTerminal.run(command(place), home.environ) as terminal:
        terminal.expect(r"This key is known by these other names:\r\n +\S+known_hosts line 1: elsewhere\.example\r\n")
        terminal.expect(r"continue connecting \(yes/no/\[fingerprint\]\)\? ")
        terminal.type("no\n")
        assert terminal.wait() == 255


@pytest.mark.parametrize("hashed", ["yes", "no"])
def test_hashed_names_and_accept_new(place, hashed):
    home = place.home
    home.known_hosts.unlink()
    options = ("-o", f"HashKnownHosts={hashed}", "-o", "StrictHostKeyChecking=accept-new")
    words = [word for word in command(place) if word not in NO_SYSTEM_CONFIG]
    words[-2:-2] = options
    for _ in range(2):
        done = home.run(words)
        assert (done.returncode, done.stdout) == (0, b"in\n"), done.stderr
    assert home.known_hosts.read_text().startswith("|1|" if hashed == "yes" else "[127.0.0.1]:")
    assert len(home.known_hosts.read_text().splitlines()) == 1


def test_visual_host_key(place):
    done = place.home.run(command(place, "-o", "VisualHostKey=yes"))
    key = PrivateKey.from_file(place.home.host_key).public_key
    assert f"Host key fingerprint is {key.fingerprint()}\n{randomart(key.blob, 'ED25519 256')}\n" in done.stderr.decode()
    assert done.returncode == 0


def test_e06_a_changed_key_with_checking_off_at_the_tool(place):
    """A key still lets us in; the warning says what is left out. (That no password is asked for: test_interactive.)"""
    place.home.know(place.port, place.home.user_key)
    done = place.home.run(command(place, "-o", "StrictHostKeyChecking=no"))
    assert (done.returncode, done.stdout) == (0, b"in\n")
    assert b"HAS CHANGED" in done.stderr
    assert b"no password is sent, and nothing is forwarded" in done.stderr
