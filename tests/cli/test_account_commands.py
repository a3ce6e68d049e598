"""AuthorizedKeysCommand and AuthorizedPrincipalsCommand: how they are cut, whom they are executed as, and what of them counts."""

from __future__ import annotations

import base64
import os
import pwd
from pathlib import Path

import pytest
import trio

from tests.cli.logins import AUTHORITY, KEY, ME, certificate, line_of, lines_file, verdict
from trio_ssh import ConfigError
from trio_ssh.cli.account_commands import OUTPUT_BYTES_MAX, AccountCommand, arguments
from trio_ssh.cli.account_files import unsafe_program

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the programs must belong to root, and so must what is above them")
BIN = Path("/usr/local/bin")  # where only root may write


@pytest.fixture
def program(tmp_path):
    """Makes a program that is safe to execute."""
    made: list[Path] = []

    def make(script: str) -> Path:
        path = BIN / f"trio-ssh-test-{os.getpid()}-{len(made)}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        made.append(path)
        return path

    yield make
    for path in made:
        path.unlink()


def test_words_are_cut_before_tokens_are_expanded():
    tokens = {"u": "two words", "h": "/home/a'b", "k": "AAAA=="}
    found = arguments("""/bin/x %u "%h of" 'it''s' %% # %k""", tokens, "C")
    assert found == ["/bin/x", "two words", "/home/a'b of", "its", "%", "#", "AAAA=="]
    assert arguments("/bin/x", tokens, "C") == ["/bin/x", "two words"]
    with pytest.raises(ConfigError, match=r"C '%i': the token '%i' is not one of %% %h %k %u"):
        arguments("/bin/x %i", tokens, "C")


async def output(written: str | Path, user: str | None = "nobody", **tokens: str) -> str | None:
    return await AccountCommand("AuthorizedKeysCommand", str(written), user).output({"u": ME, **tokens})


async def test_who_executes_it_and_in_what_environment(program, monkeypatch):
    monkeypatch.setenv("SECRET", "canary")
    shown = await output(program("id -un; id -Gn; pwd; env | sort; cat; tty; true"))
    assert shown is not None
    account = pwd.getpwnam("nobody")
    assert shown.splitlines()[:3] == ["nobody", "nogroup", "/"]
    assert {f"HOME={account.pw_dir}", "USER=nobody", "LOGNAME=nobody", "not a tty"} <= set(shown.splitlines())
    assert "canary" not in shown


@pytest.mark.parametrize(
    ("script", "user", "text"),
    [
        ("echo x; exit 3", "nobody", "it ended with status 3"),
        ("echo x; kill -9 $$", "nobody", "it ended with status -9"),
        ("exec head -c 2000000 /dev/zero", "nobody", f"it printed more than {OUTPUT_BYTES_MAX} bytes"),
        ("echo x", "no-such-account", "there is no user no-such-account"),
        ("echo x", None, "no AuthorizedKeysCommandUser is set"),
    ],
)
async def test_what_does_not_count(program, caplog, script, user, text):
    assert await output(program(script), user) is None
    assert text in caplog.text


async def test_a_command_that_hangs_ends_with_the_login(program):
    path = program("echo x; exec sleep 1000")
    with trio.move_on_after(0.2) as scope:
        await output(path)
    assert scope.cancelled_caught


def test_programs_that_others_could_have_written(program, tmp_path):
    path = program("true")
    assert unsafe_program(str(path)) == ""
    path.chmod(0o775)
    assert "chmod go-w" in unsafe_program(str(path))
    path.chmod(0o644)
    assert "cannot be executed" in unsafe_program(str(path))
    path.chmod(0o755)
    os.chown(path, 65534, -1)
    assert "belongs to somebody else" in unsafe_program(str(path))
    assert "cannot be executed" in unsafe_program("/usr/local/bin")


async def test_a_program_that_is_not_there(caplog):
    assert await output("/nowhere/program") is None
    assert "No such file" in caplog.text


async def test_a_program_that_cannot_be_executed(program, caplog):
    """It counts for nothing, and is no failure of the policy: what the files say still counts."""
    path = program("")
    path.write_bytes(b"\x7fELF and nothing more")
    assert await output(path) is None
    assert "it could not be executed: " in caplog.text


async def test_keys_of_a_command(program, tmp_path):
    path = program(f"""test "$1" = {ME} && test "$2" = ssh-ed25519 && test "$3" = "$4" && echo 'command="id" {line_of(KEY)}'""")
    blob = base64.b64encode(KEY.public_key.blob).decode()
    text = f'AuthorizedKeysFile none\nAuthorizedKeysCommand {path} %u "%t" %k {blob}\nAuthorizedKeysCommandUser nobody'
    assert (await verdict(text)).permissions.force_command == "id"
    assert not (await verdict(text.replace(blob, "x"))).accepted
    assert not (await verdict(text, username="no-such-account")).accepted


async def test_a_command_is_not_executed_where_a_file_will_do(program, tmp_path):
    path = program(f"touch {tmp_path}/was-here")
    tmp_path.chmod(0o777)
    keys = lines_file(tmp_path / "keys", line_of(KEY))
    settings = f"AuthorizedKeysCommand {path}\nAuthorizedKeysCommandUser root"
    assert (await verdict(f"AuthorizedKeysFile {keys}\nStrictModes no\n{settings}")).accepted
    assert not (tmp_path / "was-here").exists()
    assert not (await verdict(f"AuthorizedKeysFile none\n{settings}")).accepted
    assert (tmp_path / "was-here").exists()


async def test_principals_of_a_command(program, tmp_path):
    path = program('test "$1 $2 $3" = "of a test 7 ssh-ed25519" && echo "no-pty web"')
    ca = lines_file(tmp_path / "ca", line_of(AUTHORITY))
    text = (
        f'TrustedUserCAKeys {ca}\nAuthorizedPrincipalsCommand {path} "%i" %s %T %F %K %f %k %t %h %U\n'
        "AuthorizedPrincipalsCommandUser nobody"
    )
    answer = await verdict(text, certificate(["web"], extensions=(("permit-pty", b""),)))
    assert answer.accepted
    assert not answer.permissions.terminal
    assert not (await verdict(text, certificate([ME]))).accepted
    assert not (await verdict(text.replace("%s", "8"), certificate(["web"]))).accepted
