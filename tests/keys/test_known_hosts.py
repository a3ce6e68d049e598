"""known_hosts: what a lookup answers, what is skipped, and that appending is safe."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keys.conftest import KINDS
from trio_ssh.errors import KeyFileError
from trio_ssh.keys import Changed, Known, KnownHosts, Marker, PrivateKey, Revoked, Unknown
from trio_ssh.keys.known_hosts import hash_name


@pytest.fixture(scope="module")
def ed(keys):
    return keys["ed25519"].public_key


@pytest.fixture(scope="module")
def other():
    return PrivateKey.generate().public_key


@pytest.fixture(scope="module")
def rsa(keys):
    return keys["rsa"].public_key


@pytest.fixture(scope="module")
def shared(keys):
    """Those of the types that OpenSSH has, too."""
    return {name: keys[name] for name in KINDS}


@pytest.fixture
def write(tmp_path):
    """``write(text)``: the path of a known_hosts file with it."""

    def write_file(text: str | bytes, name: str = "known_hosts") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write_file


def test_the_four_answers(write, ed, other, rsa):
    path = write(f"# saved\nhost,10.0.0.1 {ed.to_openssh_line('comment with blanks')}\n@revoked bad {other.to_openssh_line()}\n")
    known = KnownHosts.from_files(path)
    assert known.lookup("host", 22, ed) == Known(path, 2)
    assert known.lookup("10.0.0.1", 22, ed) == Known(path, 2)
    assert known.lookup("HOST", 22, ed) == Known(path, 2)
    assert known.lookup("elsewhere", 22, ed) == Unknown()
    assert known.lookup("bad", 22, ed) == Unknown()
    assert known.lookup("bad", 22, other) == Revoked(path, 3)
    changed = known.lookup("host", 22, other)
    assert isinstance(changed, Changed)
    assert [(entry.path, entry.line) for entry in changed.entries] == [(path, 2)]
    unknown = known.lookup("host", 22, rsa)
    assert isinstance(unknown, Unknown)
    assert [(entry.key_type, entry.line) for entry in unknown.other_types] == [("ssh-ed25519", 2)]
    assert not known.skipped


def test_several_keys_of_one_type_are_all_known(write, ed, other):
    known = KnownHosts.from_files(write(f"h {ed.to_openssh_line()}\nh {other.to_openssh_line()}\n"))
    assert isinstance(known.lookup("h", 22, ed), Known)
    assert isinstance(known.lookup("h", 22, other), Known)
    changed = known.lookup("h", 22, PrivateKey.generate().public_key)
    assert isinstance(changed, Changed)
    assert [entry.line for entry in changed.entries] == [1, 2]


def test_e04_revoked_wins_wherever_it_stands(write, ed, rsa):
    first = write(f"h {ed.to_openssh_line()}\n", "first")
    second = write(f"@revoked * {ed.to_openssh_line()}\n", "second")
    for paths in ((first, second), (second, first)):
        known = KnownHosts.from_files(*paths)
        assert known.lookup("h", 22, ed) == Revoked(second, 1)
        assert known.lookup("h", 2222, ed) == Revoked(second, 1)
        assert known.lookup("h", 22, rsa) == Unknown(known.entries_for("h")[:1] if paths[0] == first else known.entries_for("h")[1:])
    hashed = write(f"@revoked {hash_name('h')} {ed.to_openssh_line()}\nh {ed.to_openssh_line()}\n", "hashed")
    assert KnownHosts.from_files(hashed).lookup("h", 22, ed) == Revoked(hashed, 1)


def test_a_key_revoked_for_the_bare_name_is_revoked_for_every_port(write, ed):
    path = write(f"[h]:2222 {ed.to_openssh_line()}\n@revoked h {ed.to_openssh_line()}\n")
    assert KnownHosts.from_files(path).lookup("h", 2222, ed) == Revoked(path, 2)


def test_e04_ports(write, ed, other):
    path = write(f"[h]:2222 {ed.to_openssh_line()}\nplain {ed.to_openssh_line()}\n")
    known = KnownHosts.from_files(path)
    assert known.lookup("h", 2222, ed) == Known(path, 1)
    assert known.lookup("h", 22, ed) == Unknown()
    assert known.lookup("h", 2223, ed) == Unknown()
    # a key saved for the bare name serves other ports too, but a wrong one proves nothing about them
    assert known.lookup("plain", 2222, ed) == Known(path, 2)
    assert known.lookup("plain", 2222, other) == Unknown()
    assert known.key_types("plain", 2222) == ("ssh-ed25519",)


def test_ipv6(write, ed, tmp_path):
    path = write(f"::1,[fe80::1%eth0]:2222 {ed.to_openssh_line()}\n")
    known = KnownHosts.from_files(path)
    assert known.lookup("::1", 22, ed) == Known(path, 1)
    assert known.lookup("fe80::1%ETH0", 2222, ed) == Known(path, 1)
    known.append("2001:db8::1", 22, ed, path)
    assert known.lookup("2001:DB8::1", 22, ed) == Known(path, 2)


def test_wildcards_and_negation(write, ed):
    key = ed.to_openssh_line()
    path = write(f"*.example.com,!bad.example.com,10.0.?.1 {key}\n!all {key}\n[*]:99 {key}\n")
    known = KnownHosts.from_files(path)
    assert known.lookup("a.example.com", 22, ed) == Known(path, 1)
    assert known.lookup("A.B.EXAMPLE.COM", 22, ed) == Known(path, 1)
    assert known.lookup("bad.example.com", 22, ed) == Unknown()
    assert known.lookup("example.com", 22, ed) == Unknown()
    assert known.lookup("10.0.7.1", 22, ed) == Known(path, 1)
    assert known.lookup("10.0.77.1", 22, ed) == Unknown()
    assert known.lookup("anything", 22, ed) == Unknown()
    assert known.lookup("anything", 99, ed) == Known(path, 3)


def test_e04_hashed_and_plain_duplicates(write, ed):
    path = write(f"{hash_name('h')} {ed.to_openssh_line()}\nh {ed.to_openssh_line()}\n{hash_name('[h]:2222')} {ed.to_openssh_line()}\n")
    known = KnownHosts.from_files(path)
    assert known.lookup("H", 22, ed) == Known(path, 1)
    assert known.lookup("h", 2222, ed) == Known(path, 3)
    assert known.lookup("i", 22, ed) == Unknown()
    assert [entry.line for entry in known.entries_for("h")] == [1, 2]
    assert known.key_types("h") == ("ssh-ed25519",)


def test_ssh_keygen_hashes_what_we_find(run, write, shared, ed):
    lines = [f"h{number}.example,10.0.0.{number} {key.public_key.to_openssh_line()}" for number, key in enumerate(shared.values())]
    path = write("\n".join([*lines, f"[p]:2222 {ed.to_openssh_line()}", ""]))
    run("ssh-keygen", "-q", "-H", "-f", path)
    known = KnownHosts.from_files(path)
    assert not known.skipped
    assert all(entry.hosts.startswith("|1|") for entry in known.entries)
    for number, key in enumerate(shared.values()):
        for host in (f"h{number}.example", f"10.0.0.{number}"):
            assert isinstance(known.lookup(host, 22, key.public_key), Known)
    assert isinstance(known.lookup("p", 2222, ed), Known)


@pytest.mark.parametrize("hash_host", [False, True])
def test_ssh_keygen_finds_what_we_append(run, tmp_path, shared, hash_host):
    path = tmp_path / "known_hosts"
    known = KnownHosts()
    for number, key in enumerate(shared.values()):
        known.append(f"Host{number}", 22 + number, key.public_key, path, hash_host)
    for number, key in enumerate(shared.values()):
        name = f"host{number}" if number == 0 else f"[host{number}]:{22 + number}"
        found = run("ssh-keygen", "-F", name, "-f", path)
        assert f"line {number + 1}" in found
        assert key.public_key.to_openssh_line().split()[1] in found
    assert (b"host" in path.read_bytes()) is not hash_host


def test_key_types_are_in_file_order_once_and_without_markers(write, keys, ed, rsa, other):
    ecdsa = keys["nistp384"].public_key
    path = write(
        f"h {rsa.to_openssh_line()}\nh {ed.to_openssh_line()}\n* {other.to_openssh_line()}\n@cert-authority h {ecdsa.to_openssh_line()}\n"
        f"@revoked h {ecdsa.to_openssh_line()}\nh ssh-dss AAAAB3NzaC1kc3M=\n"
    )
    known = KnownHosts.from_files(path)
    assert known.key_types("h", 22) == ("ssh-rsa", "ssh-ed25519")  # the authority is a revoked one
    assert known.key_types("x", 22) == ("ssh-ed25519",)
    assert [entry.marker for entry in known.entries][3:] == [Marker.CERT_AUTHORITY, Marker.REVOKED, Marker.TRUSTED]


def test_a09_a_cert_authority_gives_a_plain_key_no_trust(write, ed, other):
    known = KnownHosts.from_files(write(f"@cert-authority * {ed.to_openssh_line()}\n"))
    assert known.lookup("h", 22, ed) == Unknown()
    assert known.lookup("h", 22, other) == Unknown()
    assert known.entries[0].marker is Marker.CERT_AUTHORITY


def test_a_type_that_we_do_not_support_still_makes_the_host_a_known_one(write, ed):
    known = KnownHosts.from_files(write("h ssh-dss AAAAB3NzaC1kc3M= old\n"))
    result = known.lookup("h", 22, ed)
    assert isinstance(result, Unknown)
    assert [entry.key_type for entry in result.other_types] == ["ssh-dss"]
    assert known.key_types("h") == ()


def test_e04_bad_lines_are_skipped_with_their_numbers_and_shift_nothing(write, ed, keys, caplog):
    good = ed.to_openssh_line()
    kind, encoded = good.split()
    bad = [
        (f"@revoked @cert-authority h {good}", "its host field is malformed"),
        (f"@trusted h {good}", "the marker '@trusted' is unknown"),
        (f"@revoked\u00a0h {good}", "the marker"),
        (f"@ h {good}", "the marker '@' is unknown"),
        (f"@revoked h {kind}", "it has not the three fields hosts, key type and key"),
        (f"h {kind}", "it has not the three fields"),
        ("h", "it has not the three fields"),
        (f"h\u00a0{good}", "it has not the three fields"),
        (f"h\u00a0x {good}", "its host field is malformed"),
        (f"h {kind}\u00a0x {encoded}", "another type or damaged"),
        (f"h\u2028{good} x", "its host field is malformed"),
        (f"h ssh-rsa {encoded}", "another type or damaged"),
        (f"h {kind} {encoded[:-4]}", "a string says it has 32 bytes"),
        (f"h {kind} {encoded[:-1]}", "the base64 text of the key is malformed"),
        (f"h {kind} {encoded}!", "the base64 text of the key is malformed"),
        (f"h\0 {good}", "the line has a control character in it"),
        (f"h {good}\rh2 {good}", "the line has a control character in it"),
        (f"h {good} \x1b[31m", "the line has a control character in it"),
        (f", {good}", "it names no host"),
        (f"|1|AAAA|AAAA {good}", "its hashed host field is malformed"),
        (f"|2|{hash_name('h')[3:]} {good}", "its hashed host field is malformed"),
        (f"{hash_name('h')},h {good}", "its hashed host field is malformed"),
        (f"{hash_name('h')}|x {good}", "its hashed host field is malformed"),
        (f"| {good}", "its hashed host field is malformed"),
        (f"h 1024 35 {'1' * 300}", "base64|another type"),
        (f"h {good} {'x' * (1 << 20)}", "the line is longer than 65536 bytes"),
        (f"h {'x' * 65} {encoded}", "the key type is missing or too long"),
    ]
    text = "".join(f"{line}\ngood{number} {good}\n" for number, (line, _) in enumerate(bad))
    path = write(text)
    with caplog.at_level(logging.WARNING, logger="trio_ssh.known_hosts"):
        known = KnownHosts.from_files(path)
    assert [skipped.line for skipped in known.skipped] == [2 * number + 1 for number in range(len(bad))]
    for skipped, (line, reason) in zip(known.skipped, bad, strict=True):
        assert any(part in skipped.reason for part in reason.split("|")), (line[:80], skipped.reason)
        assert skipped.path == path
        assert str(skipped).isprintable()
    for number in range(len(bad)):
        assert known.lookup(f"good{number}", 22, ed) == Known(path, 2 * number + 2)
    assert known.lookup("h", 22, ed) == Unknown()
    assert len(caplog.records) == 21  # twenty lines and the count of the rest
    assert caplog.records[0].getMessage() == f"skipped: {path} line 1: its host field is malformed"


def test_e04_crlf_bom_blanks_tabs_and_no_last_newline(write, ed):
    path = write(f"\ufeffone {ed.to_openssh_line()}\r\n\r\n  # x\r\n\t two\t {ed.to_openssh_line()} \t c \r\nthree {ed.to_openssh_line()}")
    known = KnownHosts.from_files(path)
    assert not known.skipped
    assert [(entry.hosts, entry.line) for entry in known.entries] == [("one", 1), ("two", 4), ("three", 5)]


def test_e04_a_file_cut_while_it_was_read_loses_only_its_last_line(write, ed):
    text = f"one {ed.to_openssh_line()}\ntwo {ed.to_openssh_line()}\n"
    for end in range(len(text)):
        known = KnownHosts.from_files(write(text[:end]))
        assert all(entry.blob == ed.blob for entry in known.entries)
        assert [entry.hosts for entry in known.entries] in ([], ["one"], ["one", "two"])


class ChangingPath:
    """The path of a file to which something is added whenever anybody asks for it, up to `times` times."""

    def __init__(self, path: str, line: str, times: int) -> None:
        self.path, self.line, self.times = path, line, times

    def __fspath__(self) -> str:
        if self.times:
            self.times -= 1
            with open(self.path, "a") as file:
                file.write(self.line)
        return self.path


def test_e04_a_file_changed_while_it_is_read_is_read_again(write, ed):
    path = write("")
    known = KnownHosts.from_files(ChangingPath(path, f"h {ed.to_openssh_line()}\n", 7))
    assert len(known.entries) == 7
    with pytest.raises(KeyFileError, match="changing all the time; try again"):
        KnownHosts.from_files(ChangingPath(path, "#\n", 1000))


def test_e04_a_million_lines(write, ed):
    """The number of the last one is right, and those before cost nothing to keep."""
    path = write("#\n" * 999_998 + f"bad line\nh {ed.to_openssh_line()}\n")
    known = KnownHosts.from_files(path)
    assert known.lookup("h", 22, ed) == Known(path, 1_000_000)
    assert [skipped.line for skipped in known.skipped] == [999_999]
    assert len(known.entries) == 1


def test_missing_files_are_empty_and_others_are_refused(tmp_path, write, ed):
    assert KnownHosts.from_files(tmp_path / "none", tmp_path / "no" / "dir", "/dev/null").entries == ()
    assert KnownHosts.from_files().lookup("h", 22, ed) == Unknown()
    os.mkfifo(tmp_path / "fifo")
    for bad in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        with pytest.raises(KeyFileError, match="regular file"):
            KnownHosts.from_files(bad)


def test_many_lines_take_linear_time(write, ed, other):
    good = ed.to_openssh_line()
    path = write("".join(f"h{number}.example,10.{number} {good}\n" for number in range(20_000)))
    start = time.process_time()
    known = KnownHosts.from_files(path)
    assert time.process_time() - start < 5
    start = time.process_time()
    assert isinstance(known.lookup("h19999.example", 22, ed), Known)
    assert isinstance(known.lookup("h19999.example", 22, other), Changed)
    assert time.process_time() - start < 0.1


def test_e05_hostile_patterns_are_cheap(write, ed):
    known = KnownHosts.from_files(write(f"{'*a' * 5000}b {ed.to_openssh_line()}\n"))
    start = time.process_time()
    assert known.lookup("a" * 255, 22, ed) == Unknown()
    assert time.process_time() - start < 0.1


def test_append_makes_directory_and_file_private(tmp_path, ed):
    path = tmp_path / "home" / ".ssh" / "known_hosts"
    known = KnownHosts.from_files(path)
    old = os.umask(0)
    try:
        known.append("h", 22, ed, path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == f"h {ed.to_openssh_line()}\n"
    assert known.lookup("h", 22, ed) == Known(str(path), 1)
    assert KnownHosts.from_files(path).lookup("h", 22, ed) == Known(str(path), 1)
    assert os.listdir(path.parent) == ["known_hosts"]


def test_append_adds_a_missing_newline_and_keeps_all_else(write, ed, rsa):
    for before in ("", "\n", "# no newline", f"a {ed.to_openssh_line()}\r\nbad line"):
        path = write(before)
        os.chmod(path, 0o644)
        known = KnownHosts.from_files(path)
        known.append("New", 2222, rsa, path)
        middle = "" if not before or before.endswith("\n") else "\n"
        content = Path(path).read_bytes().decode()
        assert content == f"{before}{middle}[new]:2222 {rsa.to_openssh_line()}\n"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
        assert known.lookup("new", 2222, rsa) == Known(path, content.count("\n"))
        assert KnownHosts.from_files(path).lookup("new", 2222, rsa) == Known(path, content.count("\n"))


def test_append_follows_a_symbolic_link(tmp_path, write, ed):
    target = write("# dotfiles\n", "target")
    (tmp_path / "known_hosts").symlink_to(target)
    KnownHosts().append("h", 22, ed, tmp_path / "known_hosts")
    assert (tmp_path / "known_hosts").is_symlink()
    assert KnownHosts.from_files(target).lookup("h", 22, ed) == Known(target, 2)


def test_append_to_the_null_device_lasts_as_long_as_the_object(ed):
    known = KnownHosts.from_files("/dev/null")
    known.append("h", 22, ed, "/dev/null")
    assert known.lookup("h", 22, ed) == Known("/dev/null", 0)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert KnownHosts.from_files("/dev/null").lookup("h", 22, ed) == Unknown()


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a\tb", "a,b", "a\nb", "a\rb", "a*", "a?", "!a", "@revoked", "a\\b", "|1|x|y", "[h]:22", "h]", "#h", "ü", "a\u00a0b", "\0",
     "x" * 1025],
)  # fmt: skip
@pytest.mark.parametrize("hash_host", [False, True])
def test_e04_hosts_that_cannot_stand_in_the_file(tmp_path, ed, host, hash_host):
    path = tmp_path / "known_hosts"
    known = KnownHosts()
    with pytest.raises(KeyFileError, match="such a name cannot stand in this file") as caught:
        known.append(host, 22, ed, path, hash_host)
    assert caught.value.path == str(path)
    assert str(caught.value).isprintable()
    assert not path.exists()
    assert not known.entries


def test_append_errors(tmp_path, ed):
    for port in (0, -1, 65536):
        with pytest.raises(KeyFileError, match="there is no such port"):
            KnownHosts().append("h", port, ed, tmp_path / "k")
    (tmp_path / "file").write_text("x")
    with pytest.raises(KeyFileError, match="cannot be made"):
        KnownHosts().append("h", 22, ed, tmp_path / "file" / "known_hosts")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(KeyFileError, match="regular file"):
        KnownHosts().append("h", 22, ed, tmp_path / "fifo")
    with pytest.raises(KeyFileError, match="regular file"):
        KnownHosts().append("h", 22, ed, "/dev/zero")


def test_appending_at_once_loses_little_and_tears_nothing(tmp_path, ed):
    """Eight threads: whatever the interleaving, the file stays whole and each either got its line in or said that it did not."""
    path = tmp_path / "known_hosts"
    failed = []

    def append(number: int) -> None:
        try:
            KnownHosts().append(f"h{number}", 22, ed, path)
        except KeyFileError:
            failed.append(number)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = KnownHosts.from_files(path)
    assert not known.skipped
    assert known.entries
    assert os.listdir(tmp_path) == ["known_hosts"]


@given(st.binary(max_size=300))
def test_any_bytes_load(ed, content):
    known = KnownHosts.from_bytes(content + b"\ngood " + ed.to_openssh_line().encode() + b"\n", "kh")
    assert isinstance(known.lookup("good", 22, ed), Known)
    assert all(str(skipped).isprintable() for skipped in known.skipped)


@given(st.text(max_size=40), st.integers(-5, 70_000))
def test_any_host_looks_up(ed, host, port):
    content = f"h {ed.to_openssh_line()}\n*.x,!y {ed.to_openssh_line()}\n{hash_name('h')} {ed.to_openssh_line()}\n"
    known = KnownHosts.from_bytes(content.encode(), "kh")
    known.lookup(host, port, ed)
    known.key_types(host, port)
