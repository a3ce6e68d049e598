"""trio-ssh-keygen finds, hashes and removes hosts in known_hosts files."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from tests.cli.tool_runs import Run, run_here
from trio_ssh.keys.known_hosts import KnownHosts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIESZDJ/127miLt1L17+7ann8PeGo/Ivu/I1UIxb+xYCr"
SHA256 = "ED25519 SHA256:31uVKz4fTeNF/TaRrLYHtbOKxH+s91WZcSrvrefPR2I"
TEXT = f"""# a comment

build.example,192.0.2.1 {KEY} a\tcomment
[build.example]:2222 {KEY}
*.wild,!no.wild {KEY}
@cert-authority *.ca {KEY} ca
@revoked build.example {KEY}
"""


@pytest.fixture(autouse=True)
def known_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ssh").mkdir()
    path = tmp_path / ".ssh" / "known_hosts"
    path.write_text(TEXT)
    path.chmod(0o644)
    return path


def keygen(*words: str) -> Run:
    return run_here("keygen", *words)


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (
            ["-F", "Build.Example"],
            f"# Host Build.Example found: line 3 \nbuild.example,192.0.2.1 {KEY} a\tcomment\n"
            f"# Host Build.Example found: line 7 REVOKED\n@revoked build.example {KEY}\n",
        ),
        (["-F", "[build.example]:2222"], f"# Host [build.example]:2222 found: line 4 \n[build.example]:2222 {KEY}\n"),
        (["-qF", "a.wild"], f"*.wild,!no.wild {KEY}\n"),
        (["-F", "no.wild"], ""),
        (["-lF", "192.0.2.1"], f"# Host 192.0.2.1 found: line 3 \n192.0.2.1 {SHA256} a\tcomment\n"),
        (["-lF", "a.ca"], f"# Host a.ca found: line 6 CA\na.ca {SHA256} ca\n"),
        (
            ["-lF", "[build.example]:2222", "-E", "md5"],
            "# Host [build.example]:2222 found: line 4 \n"
            "[build.example]:2222 ED25519 MD5:33:20:8a:7e:fb:6f:d5:1b:ea:be:06:f8:13:30:72:2c\n",
        ),
    ],
)
def test_finding(words: list[str], out: str):
    run = keygen(*words)
    assert (run.status, run.out, run.err) == (0 if out else 1, out, "")


def test_finding_with_the_picture():
    assert keygen("-lvF", "a.wild").out.count("\n") == 13


def test_found_lines_hashed():
    out = keygen("-H", "-F", "192.0.2.1").out.splitlines()
    assert len(out) == 3
    assert all(re.fullmatch(rf"\|1\|\S+ {re.escape(KEY)} a\tcomment", line) for line in out[1:])


def test_removing(known_hosts: Path):
    run = keygen("-R", "build.example")
    assert (run.status, run.err) == (0, "")
    assert run.out == f"# Host build.example found: line 3\n{known_hosts} updated.\nOriginal contents retained as {known_hosts}.old\n"
    assert known_hosts.read_text() == "".join(line for line in TEXT.splitlines(True) if "192.0.2.1" not in line)
    assert known_hosts.with_name("known_hosts.old").read_text() == TEXT
    assert stat.S_IMODE(known_hosts.stat().st_mode) == 0o644


def test_removing_what_is_not_there(known_hosts: Path):
    run = keygen("-R", "nobody")
    assert (run.status, run.out, run.err) == (0, "", f"Host nobody not found in {known_hosts}\n")
    assert not known_hosts.with_name("known_hosts.old").exists()


def test_removing_quietly_in_another_file(tmp_path: Path):
    Path("hosts").write_text(TEXT)
    assert keygen("-q", "-R", "a.wild", "-f", "hosts").out == "hosts updated.\nOriginal contents retained as hosts.old\n"
    assert "wild" not in Path("hosts").read_text()


def test_hashing(known_hosts: Path):
    run = keygen("-H")
    assert run.status == 0
    assert run.out == f"{known_hosts} updated.\nOriginal contents retained as {known_hosts}.old\n"
    assert run.err == (
        f"{known_hosts}:5: ignoring host name with wildcard: *.wild,!no.wild\n"
        f"{known_hosts}:6: ignoring host name with wildcard: *.ca\n"
        f"WARNING: {known_hosts}.old contains unhashed entries\nDelete this file to ensure privacy of hostnames\n"
    )
    known = KnownHosts.from_files(known_hosts)
    assert [entry.line for entry in known.entries_for("build.example")] == [3, 8]
    assert [entry.line for entry in known.entries_for("192.0.2.1")] == [4]
    assert [entry.line for entry in known.entries_for("build.example", 2222)] == [5]
    assert "192.0.2.1" not in known_hosts.read_text()
    assert keygen("-H").out == ""  # all is hashed
    assert keygen("-F", "192.0.2.1").out.startswith("# Host 192.0.2.1 found: line 4 \n|1|")


def test_bad_lines_are_told_and_kept(known_hosts: Path):
    known_hosts.write_text(TEXT + "half line\n")
    run = keygen("-H")
    assert run.status == 0
    assert f"{known_hosts} line 8: it has not the three fields hosts, key type and key; the line is kept as it is\n" in run.err
    assert known_hosts.read_text().endswith("\nhalf line\n")
    assert keygen("-R", "192.0.2.1").status == 0
    assert known_hosts.read_text().endswith("\nhalf line\n")
