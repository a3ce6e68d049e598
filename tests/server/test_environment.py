"""Which variable wins."""

from __future__ import annotations

import pytest

from trio_ssh.server.accounts import Account
from trio_ssh.server.environment import PATH_OF_ROOT, PATH_OF_USERS, address_variables, child_environment

ADA = Account("ada", 1000, 1000, "/home/ada", "/bin/zsh", (1000,))
FIXED = {"HOME": "/home/ada", "USER": "ada", "LOGNAME": "ada", "SHELL": "/bin/zsh", "PATH": PATH_OF_USERS}


def _of(wanted: dict[str, str], **more: str | None) -> dict[str, str]:
    found = child_environment(ADA, wanted, **more)  # type: ignore[arg-type]
    return {name.decode(): value.decode() for name, value in found.items() if name != b"TZ"}


@pytest.mark.parametrize(
    "name", [*FIXED, "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "BASH_FUNC_ls%%", "IFS", "SSH_CLIENT", "SSH_TTY"]
)
def test_a_client_cannot_set_it(name: str) -> None:
    assert _of({name: "evil"}) == FIXED


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")])
def test_what_no_environment_can_hold_is_left_out(name: str, value: str) -> None:
    assert _of({name: value}) == FIXED


def test_a_client_may_add_the_rest() -> None:
    assert _of({"LC_ALL": "C", "TERM": "xterm"}) == {**FIXED, "LC_ALL": "C", "TERM": "xterm"}


def test_the_terminal_counts_more_than_a_variable() -> None:
    assert _of({"TERM": "xterm"}, term="vt100", tty="/dev/pts/7") == {**FIXED, "TERM": "vt100", "SSH_TTY": "/dev/pts/7"}


def test_the_server_has_the_last_word() -> None:
    found = child_environment(ADA, {"A": "client"}, extra={"A": "server", "PATH": "/opt/bin"})
    assert (found[b"A"], found[b"PATH"]) == (b"server", b"/opt/bin")


def test_bytes_come_through_as_they_came() -> None:
    assert child_environment(ADA, {"LC_X": b"\xff\xc3\xa9".decode("utf-8", "surrogateescape")})[b"LC_X"] == b"\xff\xc3\xa9"


def test_root_has_more_folders() -> None:
    root = Account("root", 0, 0, "/root", "/bin/sh", (0,))
    assert child_environment(root, {})[b"PATH"] == PATH_OF_ROOT.encode()


def test_addresses() -> None:
    assert address_variables("192.0.2.1 port 40000", "2001:db8::1 port 22") == {
        "SSH_CLIENT": "192.0.2.1 40000 22",
        "SSH_CONNECTION": "192.0.2.1 40000 2001:db8::1 22",
    }
    assert address_variables("192.0.2.1 port 40000")["SSH_CONNECTION"] == "192.0.2.1 40000 UNKNOWN 65535"
    assert address_variables("") == address_variables("a local socket") == {}
