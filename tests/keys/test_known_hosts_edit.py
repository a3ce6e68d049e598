"""Removing, hashing and finding hosts as ssh-keygen does, and changing the keys of one host: nothing else in the file is touched."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.errors import KeyFileError
from trio_ssh.keys import Known, KnownHosts, Marker, PrivateKey, Revoked, Unknown
from trio_ssh.keys.known_hosts import hash_name
from trio_ssh.keys.known_hosts_edit import find_host, hash_hosts, hashed_text, is_simple, remove_host, rewrite, update_host


@pytest.fixture(scope="module")
def ed(keys):
    return keys["ed25519"].public_key


@pytest.fixture(scope="module")
def other():
    return PrivateKey.generate().public_key


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def filled(path, ed, other) -> Path:
    """A file with something of each kind; all its lines can be read by ssh-keygen."""
    a, b = ed.to_openssh_line(), other.to_openssh_line()
    lines = [
        "# comment",
        f"h,10.0.0.1 {a} note",
        f"*.example,!x.example {a}",
        f"@revoked h {b}",
        f"@cert-authority h {b}",
        f"[h]:2222 {b}",
        f"{hash_name('hidden')} {a}",
        f"H2 {a}",
        "",
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o644)
    return path


HOSTS = ["h", "10.0.0.1", "a.example", "x.example", "[h]:2222", "h2", "hidden", "H2", "nobody"]


@pytest.mark.parametrize("host", HOSTS)
def test_removing_is_what_ssh_keygen_does(run, filled, tmp_path, host):
    before = filled.read_bytes()
    theirs = Path(shutil.copy(filled, tmp_path / "theirs"))
    removed = remove_host(filled, host)
    said = run("ssh-keygen", "-f", theirs, "-R", host)
    assert filled.read_bytes() == theirs.read_bytes()
    assert [f"# Host {host} found: line {entry.line}" for entry in removed] == [line for line in said.splitlines() if line[:6] == "# Host"]
    old = filled.with_name("known_hosts.old")
    if removed:
        assert old.read_bytes() == before
    else:
        assert filled.read_bytes() == before
        assert not old.exists()
    assert stat.S_IMODE(filled.stat().st_mode) == 0o644


@pytest.mark.parametrize("host", HOSTS)
def test_finding_is_what_ssh_keygen_does(run, filled, host):
    found = find_host(filled, host)
    if not found:
        return
    shown = []
    marks = {Marker.TRUSTED: "", Marker.REVOKED: "REVOKED", Marker.CERT_AUTHORITY: "CA"}
    for line in found:
        shown += [f"# Host {host} found: line {line.entry.line} {marks[line.entry.marker]}", line.text]
    assert run("ssh-keygen", "-F", host, "-f", filled) == "".join(f"{line}\n" for line in shown)


def test_a_found_line_hashed(filled, ed):
    [line] = find_host(filled, "10.0.0.1")
    hashed = hashed_text(line).split("\n")
    assert len(hashed) == 2
    assert all(text.endswith(f" {ed.to_openssh_line()} note") for text in hashed)
    known = KnownHosts.from_bytes("\n".join(hashed).encode())
    assert (known.lookup("h", 22, ed), known.lookup("10.0.0.1", 22, ed)) == (Known("", 1), Known("", 2))
    for host in ("a.example", "hidden", "[h]:2222"):
        [line] = find_host(filled, host)
        assert (hashed_text(line) == line.text) is (host != "[h]:2222")


def test_hashing_names_no_host_in_clear(run, filled, ed, other):
    before = KnownHosts.from_files(filled)
    result = hash_hosts(filled)
    assert (result.hashed, [entry.hosts for entry in result.kept]) == (3, ["*.example,!x.example", "h", "h"])
    assert filled.with_name("known_hosts.old").read_bytes() != filled.read_bytes()
    lines = filled.read_text().splitlines()
    assert lines[0] == "# comment"
    assert sum(line.startswith("|1|") for line in lines) == 5
    assert not any(line.startswith(("h", "H", "[")) for line in lines)
    after = KnownHosts.from_files(filled)
    for host, port in (("h", 22), ("10.0.0.1", 22), ("h", 2222), ("hidden", 22), ("h2", 22), ("a.example", 22), ("nobody", 22)):
        for key in (ed, other):
            assert type(after.lookup(host, port, key)) is type(before.lookup(host, port, key)), (host, port)
    assert run("ssh-keygen", "-F", "10.0.0.1", "-f", filled).startswith("# Host 10.0.0.1 found: line 3 \n|1|")


def test_hashing_twice_changes_nothing(filled):
    hash_hosts(filled)
    before = filled.read_bytes()
    assert hash_hosts(filled).hashed == 0
    assert filled.read_bytes() == before


def test_e04_bad_lines_stay_and_do_not_keep_us_from_removing(path, ed):
    text = f"\ufeffh {ed.to_openssh_line()}\r\nbad line\r\n@nonsense h {ed.to_openssh_line()}\n\nh {ed.to_openssh_line()} no newline"
    path.write_text(text, newline="")
    assert [entry.line for entry in remove_host(path, "h")] == [1, 5]
    assert path.read_bytes() == f"bad line\r\n@nonsense h {ed.to_openssh_line()}\n\n".encode()


def test_bad_lines_are_kept_when_hashing(path, ed):
    path.write_bytes(b"bad line\n\x00\xff\n\t h  " + ed.to_openssh_line().encode() + b"\r\n")
    result = hash_hosts(path)
    assert (result.hashed, [line.line for line in result.skipped]) == (1, [1, 2])
    bad, worse, good = path.read_bytes().splitlines(keepends=True)
    assert (bad, worse) == (b"bad line\n", b"\x00\xff\n")
    assert good.startswith(b"|1|")
    assert good.endswith(b"  " + ed.to_openssh_line().encode() + b"\r\n")


@pytest.mark.parametrize("change", [lambda path: remove_host(path, "h"), lambda path: find_host(path, "h"), hash_hosts])
def test_a_missing_file_is_a_mistake(path, change):
    with pytest.raises(KeyFileError, match="No such file"):
        change(path)
    assert not path.exists()


def test_a_symbolic_link_is_followed(tmp_path, path, ed):
    target = tmp_path / "target"
    target.write_text(f"h {ed.to_openssh_line()}\n")
    path.symlink_to(target)
    remove_host(path, "h")
    assert path.is_symlink()
    assert target.read_bytes() == b""


def test_the_null_device_stays_what_it_is(ed):
    update_host("/dev/null", "h", 22, [ed], [])
    assert remove_host("/dev/null", "h") == ()
    assert hash_hosts("/dev/null").hashed == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


# --- the keys of one host ----------------------------------------------------------------------------------------------------------------


def test_c18_adding_and_removing_in_one_step(path, ed, other, keys):
    rsa = keys["rsa"].public_key
    text = f"# mine\nh {ed.to_openssh_line()} note\nbad\nh {other.to_openssh_line()}\n[h]:2222 {other.to_openssh_line()}\n"
    path.write_text(text)
    path.chmod(0o640)
    update_host(path, "H", 22, [rsa, ed], [other])
    lines = text.splitlines()
    assert path.read_text().splitlines() == [*lines[:3], lines[4], f"h {rsa.to_openssh_line()}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == ["known_hosts"]


@pytest.mark.parametrize("hash_host", [False, True])
def test_adding_makes_the_file_and_hashes_if_asked(path, ed, hash_host):
    update_host(path, "h", 2222, [ed], [], hash_host)
    assert path.read_text().startswith("|1|" if hash_host else "[h]:2222 ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert isinstance(KnownHosts.from_files(path).lookup("h", 2222, ed), Known)


def test_lines_that_are_not_the_hosts_own_are_not_removed(path, ed):
    key = ed.to_openssh_line()
    text = f"h* {key}\nh,a,b {key}\n@revoked h {key}\n@cert-authority h {key}\nh,!x {key}\n"
    path.write_text(text)
    update_host(path, "h", 22, [], [ed])
    assert path.read_text() == text
    assert [is_simple(entry) for entry in KnownHosts.from_files(path).entries] == [False] * 5


@pytest.mark.parametrize("hosts", ["h", "h,10.0.0.1", hash_name("h"), "[h]:2222"], ids=["plain", "with address", "hashed", "with port"])
def test_lines_as_ssh_writes_them_are(hosts, ed):
    [entry] = KnownHosts.from_bytes(f"{hosts} {ed.to_openssh_line()}".encode()).entries
    assert is_simple(entry)


def test_a_host_that_cannot_stand_in_the_file(path, ed):
    with pytest.raises(KeyFileError, match="cannot stand in this file"):
        update_host(path, "a b", 22, [ed], [])
    assert not path.exists()


def test_what_others_write_meanwhile_is_not_lost(path, ed):
    """The change is made again on what the file has become."""
    path.write_text("# one\n")
    seen = []

    def change(known, lines):
        seen.append(lines)
        if len(seen) < 3:
            with path.open("a") as file:
                file.write(f"# {len(seen)}\n")
        return [*lines, b"# ours"]

    rewrite(path, change)
    assert path.read_text() == "# one\n# 1\n# 2\n# ours\n"
    assert len(seen) == 3


def test_a_file_that_changes_all_the_time(path):
    path.write_text("")

    def change(known, lines):
        with path.open("a") as file:
            file.write("#\n")
        return [*lines, b"# ours"]

    with pytest.raises(KeyFileError, match="nothing was changed"):
        rewrite(path, change)
    assert b"ours" not in path.read_bytes()


@given(
    st.lists(st.sampled_from(["h", "h,x", "*", "!h,*", "[h]:22", "other", "@revoked h", "bad", "#"]), max_size=8), st.binary(max_size=60)
)
def test_whatever_else_is_in_the_file_stays_as_it_is(ed, hosts, noise):
    lines = [*(f"{name} {ed.to_openssh_line()}".encode() for name in hosts), *noise.split(b"\n")]
    content = b"\n".join(lines) + b"\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "known_hosts"
        path.write_bytes(content)
        numbers = {entry.line for entry in remove_host(path, "h")}
        left = [line for number, line in enumerate(lines, 1) if number not in numbers]
        assert path.read_bytes() == b"".join(line + b"\n" for line in left)
        assert numbers == {number for number, name in enumerate(hosts, 1) if name in ("h", "h,x", "*")}
        assert isinstance(KnownHosts.from_files(path).lookup("h", 22, ed), Unknown if "@revoked h" not in hosts else Revoked)
