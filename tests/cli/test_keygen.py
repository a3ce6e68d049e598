"""trio-ssh-keygen makes, changes and shows keys; each flag at least once, and what is said when it cannot be done."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.cli.tool_runs import Run, run_here
from tests.cli.tools import SECONDS, AtTerminal, tool
from trio_ssh import PrivateKey, PublicKey


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tests work, and whose home it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keygen(*words: str, stdin: bytes = b"") -> Run:
    return run_here("keygen", *words, stdin=stdin)


def made(*words: str) -> Run:
    run = keygen(*words)
    assert (run.status, run.err) == (0, "")
    return run


def failed(run: Run, status: int, pattern: str) -> None:
    """One line on stderr, and the exit status of ssh-keygen."""
    assert (run.status, run.err.count("\n")) == (status, 1), run
    assert re.fullmatch(f"trio-ssh-keygen: .*{pattern}.*\n", run.err), run.err


def opens(path: str, passphrase: str) -> bool:
    """Raises `KeyFileError` if it does not."""
    PrivateKey.from_file(path, passphrase)
    return True


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# --- making -----------------------------------------------------------------------------------------------------------------------------


def test_a_key_and_what_is_said():
    run = made("-t", "ed25519", "-f", "key", "-N", "", "-C", "a comment")
    key = PrivateKey.from_file("key")
    assert key.comment == "a comment"
    assert Path("key.pub").read_text() == key.public_key.to_openssh_line("a comment") + "\n"
    assert (mode("key"), mode("key.pub")) == (0o600, 0o644)
    lines = run.out.split("\n")
    assert lines[:6] == [
        "Generating public/private ed25519 key pair.",
        "Your identification has been saved in key",
        "Your public key has been saved in key.pub",
        "The key fingerprint is:",
        f"{key.public_key.fingerprint()} a comment",
        "The key's randomart image is:",
    ]
    assert lines[6] == "+--[ED25519 256]--+"
    assert lines[16:] == ["+----[SHA256]-----+", ""]


@pytest.mark.parametrize(
    ("words", "key_type", "bits"),
    [
        ([], "ssh-ed25519", 256),
        (["-t", "ED25519", "-b", "1234"], "ssh-ed25519", 256),
        (["-t", "ed448"], "ssh-ed448", 456),
        (["-t", "ecdsa"], "ecdsa-sha2-nistp256", 256),
        (["-t", "ecdsa", "-b", "384"], "ecdsa-sha2-nistp384", 384),
        (["-t", "ecdsa-sha2-nistp521"], "ecdsa-sha2-nistp521", 521),
        (["-t", "rsa", "-b", "2048"], "ssh-rsa", 2048),
    ],
)
def test_types_and_sizes(words: list[str], key_type: str, bits: int):
    assert made("-q", "-N", "", "-f", "key", *words).out == ""
    key = PrivateKey.from_file("key").public_key
    assert (key.algorithm, key.bits) == (key_type, bits)


def test_a_passphrase_and_its_rounds():
    made("-q", "-f", "key", "-N", "secret", "-a", "3")
    assert opens("key", "secret")
    failed(keygen("-y", "-f", "key", "-P", "wrong"), 255, "this passphrase does not open the private key; try again")
    failed(keygen("-q", "-f", "other", "-N", "secret", "-a", "9999"), 1, "rounds must be 1 to 2048")
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("words", "begin"),
    [
        (["-t", "rsa", "-b", "2048", "-m", "PEM"], "-----BEGIN RSA PRIVATE KEY-----"),
        (["-t", "ecdsa", "-m", "PEM"], "-----BEGIN EC PRIVATE KEY-----"),
        (["-m", "PKCS8"], "-----BEGIN PRIVATE KEY-----"),
        (["-m", "RFC4716"], "-----BEGIN OPENSSH PRIVATE KEY-----"),
        (["-o"], "-----BEGIN OPENSSH PRIVATE KEY-----"),
    ],
)
def test_formats_of_private_keys(words: list[str], begin: str):
    made("-q", "-f", "key", "-N", "", *words)
    assert Path("key").read_text().startswith(begin)
    assert mode("key") == 0o600
    assert PrivateKey.from_file("key").public_key == PublicKey.from_openssh_line(Path("key.pub").read_text())


def test_a_format_that_a_key_has_not():
    failed(keygen("-q", "-f", "key", "-N", "", "-m", "PEM"), 1, "the key was not saved: .*no PKCS#1 or SEC1 form")
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-t", "dsa"], "-t dsa: keys of this type cannot be made; use ecdsa, ed25519, ed448, rsa"),
        (["-t", "ed25519-sk"], "keys of this type cannot be made"),
        (["-t", "ecdsa", "-b", "300"], "-b 300: an ECDSA key has 256, 384 or 521 bits"),
        (["-t", "rsa", "-b", "1024"], "-b 1024: an RSA key has 2048 to 16384 bits"),
        (["-t", "rsa", "-b", "20000"], "2048 to 16384"),
        (["-Z", "rot13"], "-Z rot13"),
    ],
)
def test_keys_that_cannot_be_made(words: list[str], text: str):
    failed(keygen("-f", "key", "-N", "", *words), 255, re.escape(text))
    assert os.listdir() == []


def test_a_place_that_cannot_be_written():
    run = keygen("-f", "no/such/key", "-N", "")
    failed(run, 1, "the key was not saved: no/such/key: cannot be written: No such file or directory")
    assert run.out == "Generating public/private ed25519 key pair.\n"


@pytest.mark.parametrize(("answer", "replaced"), [(b"y\n", True), (b"Yes\n", True), (b"n\n", False), (b"\n", False), (b"", False)])
def test_what_is_there_is_not_overwritten_without_asking(answer: bytes, replaced: bool):
    made("-q", "-f", "key", "-N", "")
    before = Path("key").read_bytes(), Path("key.pub").read_bytes()
    run = keygen("-q", "-f", "key", "-N", "", stdin=answer)
    assert run.out == "key already exists.\nOverwrite (y/n)? "
    assert run.status == (0 if replaced else 1)
    assert ((Path("key").read_bytes(), Path("key.pub").read_bytes()) != before) == replaced


def test_e08_the_mode_is_there_from_the_first_moment_and_links_are_not_followed():
    Path("precious").write_text("precious")
    os.symlink("precious", "key")
    umask = os.umask(0)
    try:
        assert keygen("-q", "-f", "key", "-N", "", stdin=b"y\n").status == 0
    finally:
        os.umask(umask)
    assert Path("precious").read_text() == "precious"
    assert not Path("key").is_symlink()
    assert (mode("key"), mode("key.pub")) == (0o600, 0o644)


def test_the_umask_counts_for_the_public_key():
    umask = os.umask(0o077)
    try:
        made("-q", "-f", "key", "-N", "")
    finally:
        os.umask(umask)
    assert mode("key.pub") == 0o600


def test_the_usual_path_and_its_folder(folder: Path):
    run = keygen("-N", "", "-t", "ecdsa", stdin=b"\n")
    assert f"Enter file in which to save the key ({folder}/.ssh/id_ecdsa): " in run.out
    assert f"Created directory '{folder}/.ssh'.\n" in run.out
    assert mode(".ssh") == 0o700
    assert PrivateKey.from_file(".ssh/id_ecdsa").public_key.algorithm == "ecdsa-sha2-nistp256"
    assert keygen("-N", "", stdin=b"here\n").status == 0
    assert Path("here.pub").exists()
    failed(keygen("-N", ""), 1, "no file was named; use -f")


def test_the_usual_comment():
    made("-q", "-f", "key", "-N", "")
    assert re.fullmatch(r"\S+@\S+", PrivateKey.from_file("key").comment)


def test_host_keys():
    os.makedirs("root/etc/ssh")
    assert made("-A", "-f", "root").out == "trio-ssh-keygen: generating new host keys: RSA ECDSA ED25519 \n"
    assert sorted(os.listdir("root/etc/ssh")) == [
        f"ssh_host_{kind}_key{end}" for kind in ("ecdsa", "ed25519", "rsa") for end in ("", ".pub")
    ]
    before = Path("root/etc/ssh/ssh_host_rsa_key").read_bytes()
    os.unlink("root/etc/ssh/ssh_host_ed25519_key")
    assert made("-A", "-f", "root").out == "trio-ssh-keygen: generating new host keys: ED25519 \n"
    assert made("-A", "-f", "root").out == ""
    assert Path("root/etc/ssh/ssh_host_rsa_key").read_bytes() == before
    failed(keygen("-A", "-f", "nowhere"), 1, "nowhere/etc/ssh/ssh_host_rsa_key: cannot be written")


# --- changing ---------------------------------------------------------------------------------------------------------------------------


def test_changing_the_passphrase():
    made("-q", "-f", "key", "-N", "", "-C", "me", "-a", "1")
    said = "Key has comment 'me'\nYour identification has been saved with the new passphrase.\n"
    assert made("-p", "-f", "key", "-N", "first", "-a", "1").out == said
    failed(keygen("-y", "-f", "key", "-P", ""), 255, "passphrase does not open")
    failed(keygen("-p", "-f", "key", "-P", "wrong", "-N", "second"), 255, "passphrase does not open")
    assert made("-p", "-f", "key", "-P", "first", "-N", "second", "-a", "1").out == said
    assert PrivateKey.from_file("key", "second").comment == "me"
    assert made("-p", "-f", "key", "-P", "second", "-N", "").out == said
    assert PrivateKey.from_file("key").comment == "me"
    assert mode("key") == 0o600


def test_changing_the_format():
    made("-q", "-f", "key", "-t", "rsa", "-b", "2048", "-N", "", "-C", "me")
    for form, begin in (("PEM", "-----BEGIN RSA"), ("PKCS8", "-----BEGIN PRIVATE"), ("RFC4716", "-----BEGIN OPENSSH")):
        made("-p", "-f", "key", "-N", "", "-m", form)
        assert Path("key").read_text().startswith(begin)
    assert made("-p", "-f", "key", "-N", "").out == "Your identification has been saved with the new passphrase.\n"  # PEM has no comment


def test_changing_the_comment():
    made("-q", "-f", "key", "-N", "secret", "-a", "1", "-C", "old")
    words = ("-c", "-f", "key", "-P", "secret", "-a", "1")
    assert made(*words, "-C", "new one").out == "Old comment: old\nComment 'new one' applied\n"
    assert PrivateKey.from_file("key", "secret").comment == "new one"
    assert Path("key.pub").read_text().endswith(" new one\n")
    assert made(*words, "-C", "new one").out == "Old comment: new one\nNo change to comment\n"
    assert keygen(*words, stdin=b"typed\n").out == "Old comment: new one\nNew comment: Comment 'typed' applied\n"
    assert made(*words, "-C", "").out == "Old comment: typed\nComment removed\n"
    assert made(*words, "-C", "x").out == "No existing comment\nComment 'x' applied\n"
    assert keygen(*words).status == 1
    failed(keygen(*words, "-m", "PEM", "-C", "y"), 1, "OpenSSH's own format only")
    assert PrivateKey.from_file("key", "secret").comment == "x"


# --- showing ----------------------------------------------------------------------------------------------------------------------------

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIESZDJ/127miLt1L17+7ann8PeGo/Ivu/I1UIxb+xYCr"
SHA256 = "256 SHA256:31uVKz4fTeNF/TaRrLYHtbOKxH+s91WZcSrvrefPR2I"


def test_fingerprints():
    Path("key.pub").write_text(f"{KEY} me\n")
    assert made("-l", "-f", "key.pub").out == f"{SHA256} me (ED25519)\n"
    md5 = "256 MD5:33:20:8a:7e:fb:6f:d5:1b:ea:be:06:f8:13:30:72:2c me (ED25519)\n"
    assert made("-l", "-E", "md5", "-f", "key.pub").out == md5
    assert made("-l", "-E", "SHA1", "-f", "key.pub").out == "256 SHA1:Au2Ss46FNI4ow6ibnd6r0+9jHDE me (ED25519)\n"
    assert made("-lv", "-f", "key.pub").out.count("\n") == 12
    assert made("-B", "-f", "key.pub").out == "256 xebiv-tagir-fyfem-hitym-vapos-fopun-ralot-vypit-furek-feluf-cuxex me (ED25519)\n"


def test_fingerprints_of_stdin_and_of_lines_with_more_in_them():
    text = f"""# a comment
restrict,command="say \\"a b\\" " {KEY} behind it
host,10.0.0.1 {KEY}
no key at all
{KEY}
\t{KEY}\t# not a comment of the key
"""
    expected = [f"{SHA256} {comment} (ED25519)\n" for comment in ("behind it", "host,10.0.0.1", "no comment", "no comment")]
    assert keygen("-l", "-f", "-", stdin=text.encode()).out == "".join(expected)
    assert keygen("-l", "-f", "/dev/stdin", stdin=text.encode()).out == "".join(expected)


def test_fingerprints_of_private_keys():
    made("-q", "-f", "key", "-N", "", "-C", "me")
    fingerprint = PrivateKey.from_file("key").public_key.fingerprint()
    assert made("-l", "-f", "key").out == f"256 {fingerprint} me (ED25519)\n"
    os.unlink("key.pub")
    assert made("-l", "-f", "key").out == f"256 {fingerprint} me (ED25519)\n"
    made("-q", "-f", "locked", "-N", "secret", "-a", "1", "-C", "me")
    assert made("-l", "-f", "locked").out.endswith(" me (ED25519)\n")
    os.unlink("locked.pub")
    fingerprint = PrivateKey.from_file("locked", "secret").public_key.fingerprint()
    assert made("-l", "-f", "locked").out == f"256 {fingerprint} no comment (ED25519)\n"
    made("-q", "-f", "pem", "-N", "secret", "-m", "PKCS8")
    os.unlink("pem.pub")
    failed(keygen("-l", "-f", "pem"), 255, "pem is not a public key file; name one, or a private key with a .pub file beside it")


def test_public_halves():
    made("-q", "-f", "key", "-N", "", "-C", "me")
    assert made("-y", "-f", "key").out == Path("key.pub").read_text()
    with open("key", "rb") as file:
        assert keygen("-y", "-f", "/dev/stdin", stdin=file.read()).status == 0


@pytest.mark.parametrize("action", ["-l", "-y", "-e", "-i", "-p", "-c", "-L", "-B", "-F host", "-R host", "-H"])
def test_a_file_that_is_not_there(action: str):
    failed(keygen(*action.split(), "-f", "nowhere"), 255, "nowhere: cannot be read: No such file or directory; check the path")


@pytest.mark.parametrize("action", ["-l", "-y", "-e", "-i", "-p", "-c", "-L", "-B"])
def test_the_usual_file_is_proposed(action: str, folder: Path):
    run = keygen(action)
    failed(run, 1, "no file was named; use -f")
    assert run.out == f"Enter file in which the key is ({folder}/.ssh/id_ed25519): "
    failed(keygen(action, stdin=b"other\n"), 255, "other: cannot be read")


def test_a_private_key_that_others_can_read():
    made("-q", "-f", "key", "-N", "")
    os.chmod("key", 0o640)
    for words in (["-y"], ["-p", "-N", "x"], ["-c", "-C", "x"]):
        failed(keygen(*words, "-f", "key"), 255, "its mode 0640 lets others get at the private key.*run: chmod 600 key")


@pytest.mark.parametrize(
    ("action", "text"), [("-l", "is not a public key file"), ("-y", "is not a private key"), ("-B", "public key file")]
)
def test_what_is_no_key(action: str, text: str):
    Path("notes").write_text("hello\n")
    os.chmod("notes", 0o600)
    failed(keygen(action, "-f", "notes"), 255, f"notes.* {text}")


def test_a_public_key_where_a_private_one_is_wanted():
    Path("key.pub").write_text(KEY)
    os.chmod("key.pub", 0o600)
    failed(keygen("-y", "-f", "key.pub"), 255, "it is a public key; give the private key's file, mostly the one without .pub")


def test_usage():
    run = keygen("-M", "generate")
    assert run.status == 1
    assert run.err.startswith("trio-ssh-keygen: the option -M is not supported\nusage: trio-ssh-keygen [-q]")


def test_what_could_steer_a_terminal_is_escaped():
    Path("key.pub").write_text(f"{KEY} red\x1b[31m\n")
    assert made("-l", "-f", "key.pub").out == f"{SHA256} red\\x1b[31m (ED25519)\n"


# --- converting -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["RFC4716", "PKCS8", "PEM"])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_out_and_in_again(form: str, kind: str):
    made("-q", "-f", "key", "-t", kind, *(["-b", "2048"] if kind == "rsa" else []), "-N", "")
    exported = made("-e", "-m", form, "-f", "key.pub").out
    assert made("-e", "-m", form, "-f", "key").out == exported
    Path("exported").write_text(exported)
    assert made("-i", "-m", form.lower(), "-f", "exported").out == " ".join(Path("key.pub").read_text().split()[:2]) + "\n"


def test_conversions_that_there_are_not():
    made("-q", "-f", "key", "-N", "")
    failed(keygen("-e", "-m", "PEM", "-f", "key"), 255, "cannot be written in this format: PEM")
    failed(keygen("-i", "-m", "PKCS8", "-f", "key.pub"), 255, "no key of the format PKCS8 in it; say with -m which format it has")
    Path("broken").write_text("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n")
    failed(keygen("-i", "-f", "broken"), 255, "broken: not a public key")


def test_a_private_key_taken_in():
    made("-q", "-f", "key", "-N", "", "-m", "PKCS8")
    run = made("-i", "-m", "PKCS8", "-f", "key")
    assert PrivateKey.from_bytes(run.out.encode()) == PrivateKey.from_file("key")


# --- at a terminal ----------------------------------------------------------------------------------------------------------------------


def environ(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm"}


def test_a_new_key_as_a_person_makes_it(folder: Path):
    with AtTerminal.run(tool("keygen", "-a", "1"), environ(folder)) as terminal:
        terminal.expect(r"Enter file in which to save the key \(.*/\.ssh/id_ed25519\): ")
        terminal.type("\n")
        terminal.expect(r"Created directory '.*/\.ssh'\.\r\n")
        for first, second in (("one", "two"), ("secret", "secret")):
            terminal.expect(r"Enter passphrase \(empty for no passphrase\): ")
            terminal.type(f"{first}\n")
            terminal.expect("Enter same passphrase again: ")
            terminal.type(f"{second}\n")
        terminal.expect(r"Your identification has been saved in .*/\.ssh/id_ed25519\r\n")
        terminal.expect(r"\+----\[SHA256\]-----\+\r\n")
        assert terminal.wait() == 0
        assert "secret" not in terminal.shown
    assert opens(".ssh/id_ed25519", "secret")


def test_passphrases_as_a_person_changes_them(folder: Path):
    made("-q", "-f", "key", "-N", "old", "-a", "1", "-C", "me")
    with AtTerminal.run(tool("keygen", "-p", "-a", "1", "-f", "key"), environ(folder)) as terminal:
        for question, answer in (
            ("old passphrase", "old"),
            ("new passphrase .empty for no passphrase.", "new"),
            ("same passphrase again", "new"),
        ):
            terminal.expect(f"Enter {question}: ")
            terminal.type(f"{answer}\n")
        terminal.expect("saved with the new passphrase")
        assert terminal.wait() == 0
    assert opens("key", "new")
    with AtTerminal.run(tool("keygen", "-p", "-f", "key", "-P", "new"), environ(folder)) as terminal:
        for answer in ("a", "b"):
            terminal.expect("passphrase[^\r]*: ")
            terminal.type(f"{answer}\n")
        terminal.expect("Pass phrases do not match")
        assert terminal.wait() == 1
    assert opens("key", "new")


@pytest.mark.parametrize(("key", "status", "said"), [("\x04", 1, "trio-ssh-keygen: no passphrase was given"), ("\x03", 255, "")])
def test_a_person_who_will_not_say(folder: Path, key: str, status: int, said: str):
    """The end of input is no passphrase: no key is left unprotected because somebody closed a window."""
    with AtTerminal.run(tool("keygen", "-f", "key"), environ(folder)) as terminal:
        before = terminal.modes()
        terminal.expect("no passphrase.: ")
        terminal.type(key)
        terminal.expect(said)
        assert terminal.wait() == status
        assert terminal.modes() == before
    assert os.listdir() == []


def test_passphrases_from_stdin_and_from_a_program(folder: Path):
    def run(*words: str, stdin: bytes = b"", more: Mapping[str, str] = MappingProxyType({})) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            tool("keygen", *words),
            input=stdin,
            capture_output=True,
            env={**environ(folder), **more},
            timeout=SECONDS,
            start_new_session=True,
            check=False,
        )

    assert run("-q", "-a", "1", stdin=b"key\nsecret\nsecret\n").returncode == 0
    result = run("-y", "-f", "key", stdin=b"secret\n")
    assert (result.returncode, result.stderr) == (0, b"Enter passphrase: ")
    assert run("-y", "-f", "key", stdin=b"wrong\n").returncode == 255
    askpass = Path("askpass")
    askpass.write_text('#!/bin/sh\necho "$1" >> questions\necho secret\n')
    askpass.chmod(0o700)
    program = {"SSH_ASKPASS": str(folder / "askpass"), "DISPLAY": ":0"}
    assert run("-y", "-f", "key", more=program).returncode == 0
    assert run("-q", "-a", "1", "-f", "other", more=program).returncode == 0
    assert opens("other", "secret")
    expected = ["Enter passphrase: ", "Enter passphrase (empty for no passphrase): ", "Enter same passphrase again: "]
    assert Path("questions").read_text().splitlines() == expected
