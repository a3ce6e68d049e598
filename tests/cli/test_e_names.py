"""Hostile names on the tools' command lines, and names of users that are paths at the server (hardening E11, E13)."""

from __future__ import annotations

import pytest

from tests.cli.logins import KEY, ME, line_of, lines_file, verdict
from tests.cli.tool_runs import run_here
from tests.hostile_names import HOSTILE, PATHS, STARTED, audited

SPOKEN_TO = STARTED | {"socket.connect"}


def may_stand(name: str) -> bool:
    """The system takes no NUL in an argument."""
    return "\0" not in name


@pytest.mark.parametrize("name", [name for name in HOSTILE if may_stand(name)], ids=ascii)
@pytest.mark.parametrize("way", ["host", "user@host", "-l user"])
def test_e11_trio_ssh_takes_no_such_name(tmp_path, monkeypatch, name, way):
    """Status 255 and one printable line; no program was started, nothing was dialled. With ``--`` before it, so that it is no option."""
    monkeypatch.setenv("HOME", str(tmp_path))
    words = {"host": ["--", name], "user@host": ["--", f"{name}@127.0.0.1"], "-l user": ["-l", name, "--", "127.0.0.1"]}[way]
    with audited() as heard:
        run = run_here("ssh", "-F", "none", "-p", "1", "-oBatchMode=yes", *words)
    assert run.status == 255
    assert all(line.isprintable() for line in run.err.splitlines())
    assert [event for event, _ in heard if event in STARTED] == []
    if way == "host":
        assert [event for event, _ in heard if event == "socket.connect"] == []


@pytest.mark.parametrize("name", [name for name in HOSTILE if may_stand(name)], ids=ascii)
def test_e11_what_is_shown_of_such_a_name_cannot_be_read_as_more(tmp_path, monkeypatch, name):
    """`-G` either refuses it or prints it on one line of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with audited() as heard:
        run = run_here("ssh", "-F", "none", "-G", "--", name)
    assert run.status in (0, 255)
    lines = [line for line in run.out.splitlines() if line.startswith("host ")]
    assert lines == ([f"host {name}"] if run.status == 0 else [])
    assert [event for event, _ in heard if event in SPOKEN_TO] == []


# -- user names and paths ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PATHS, *HOSTILE], ids=ascii)
async def test_e13_no_name_of_a_user_reaches_a_path(tmp_path, name):
    """AuthorizedKeysFile with its tokens: a name that is no account's is looked up under a stand-in, whatever it would name as a path."""
    for path in ("x", "etc/passwd", "root/.ssh/authorized_keys", "keys/x", "keys/a/b", "a/b"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        lines_file(tmp_path / path, line_of(KEY))
    tokens = (f"{tmp_path}/keys/%u", f"{tmp_path}/keys/%u/authorized_keys", f"{tmp_path}/%u", "%h/.ssh/authorized_keys", ".ssh/%u")
    for written in tokens:
        with audited() as heard:
            answer = await verdict(f"AuthorizedKeysFile {written}\nStrictModes no", username=name)
        assert not answer.accepted
        assert [event for event, _ in heard if event in STARTED] == []
        opened = [arguments for event, arguments in heard if event == "open" and str(tmp_path) in arguments]
        assert [arguments for arguments in opened if ascii(f"{tmp_path}/{name}")[1:-1] in arguments and name] == []
        assert [arguments for arguments in opened if ascii(f"keys/{name}")[1:-1] in arguments and name] == []


async def test_e13_an_account_of_this_machine_has_its_own_file_only(tmp_path):
    """The tokens of who does exist: its name is an account's, so it can stand in a path; and nothing that leads there by another way."""
    lines_file(tmp_path / ME, line_of(KEY))
    settings = f"AuthorizedKeysFile {tmp_path}/%u\nStrictModes no"
    assert (await verdict(settings, username=ME)).accepted
    for other in (f"../{tmp_path.name}/{ME}", f"{ME}/", f"./{ME}", f"x/../{ME}", f"{ME} ", f"{ME}\0", ME.upper()):
        assert not (await verdict(settings, username=other)).accepted
