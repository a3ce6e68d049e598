"""trio-ssh-keygen and trio-ssh-keyscan beside OpenSSH's: the same words give the same output, and each reads the other's files."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from tests.cli.tool_runs import run_here
from tests.cli.tools import SECONDS
from tests.interop.agents import running_agent
from tests.interop.keyring import Keyring
from tests.interop.openssh import running_sshd
from tests.keys.software_keys import SoftwareKey
from tests.support import require_program
from trio_ssh import PrivateKey, PublicKey
from trio_ssh.keys.key_files import write_key_pair
from trio_ssh.keys.private_openssh import KEY_CIPHERS
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES

KINDS = [("ed25519", None), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048)]
NAMES = [kind if bits is None else f"{kind}-{bits}" for kind, bits in KINDS]


@attrs.frozen
class Output:
    status: int
    out: str
    err: str


def ours(*words: str, stdin: bytes = b"") -> Output:
    run = run_here("keygen", *words, stdin=stdin)
    return Output(run.status, run.out, run.err)


def theirs(*words: str, stdin: bytes = b"", program: str = "ssh-keygen") -> Output:
    command = [require_program(program), *words]
    result = subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, start_new_session=True, check=False)
    return Output(result.returncode, result.stdout.decode(), result.stderr.decode())


def same(*words: str, stdin: bytes = b"") -> Output:
    """Both say the same and end with the same status; what goes wrong is said in words of our own."""
    mine, other = ours(*words, stdin=stdin), theirs(*words, stdin=stdin)
    assert (mine.status, mine.out) == (other.status, other.out)
    return mine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of every kind that ssh-keygen has made: in clear, with the passphrase "secret", and in PEM."""
    folder = tmp_path_factory.mktemp("theirs")
    for name, (kind, bits) in zip(NAMES, KINDS, strict=True):
        size = [] if bits is None else ["-b", str(bits)]
        for end, words in (("", []), (".locked", ["-N", "secret", "-a", "1"]), (".pem", ["-m", "PEM"]), (".pkcs8", ["-m", "PKCS8"])):
            path = str(folder / f"{name}{end}")
            if end and kind == "ed25519" and "-m" in words:
                continue  # ssh-keygen has no other format for these
            made = theirs(
                "-q", "-t", kind, *size, "-f", path, "-C", f"a comment of {name}", *(["-N", ""] if "-N" not in words else []), *words
            )
            assert made == Output(0, "", "")
    return folder


@pytest.fixture(autouse=True)
def work(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of those keys to work in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / path.name).chmod(path.stat().st_mode)
    return tmp_path


# --- what is printed --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("end", ["", ".pub", ".locked"])
def test_fingerprints(name: str, end: str):
    for words in (
        ["-l"],
        ["-lv"],
        ["-l", "-E", "md5"],
        ["-lv", "-E", "md5"],
        ["-l", "-E", "sha1"],
        ["-l", "-E", "sha512"],
        ["-B"],
        ["-Bv"],
    ):
        same(*words, "-f", f"{name}{end}")
    if not end.endswith(".pub"):
        os.unlink(f"{name}{end}.pub")
        same("-l", "-f", f"{name}{end}")


@pytest.mark.parametrize("name", NAMES)
def test_public_halves(name: str):
    same("-y", "-f", name)
    same("-y", "-f", f"{name}.locked", "-P", "secret")
    same("-y", "-f", f"{name}.locked", "-P", "wrong")
    same("-y", "-f", f"{name}.locked", stdin=b"secret\n")
    for end in ("pem", "pkcs8"):
        if os.path.exists(f"{name}.{end}"):
            same("-y", "-f", f"{name}.{end}")


# ssh-keygen 9.2 writes ed25519 keys in no other formats; ours can.
CONVERSIONS = [(name, form) for name in NAMES for form in ("RFC4716", "PKCS8", "PEM") if (name, form) != ("ed25519", "PKCS8")]


@pytest.mark.parametrize(("name", "form"), CONVERSIONS)
def test_conversions(name: str, form: str):
    exported = same("-e", "-m", form, "-f", name)
    same("-e", "-m", form, "-f", f"{name}.pub")
    if exported.status == 0 and (form, name[:5]) != ("PEM", "ecdsa"):  # ssh-keygen reads no PEM of these, but what it writes is PKCS8
        Path("exported").write_text(exported.out)
        same("-i", "-m", form, "-f", "exported")
        assert PublicKey.from_openssh_line(ours("-i", "-m", form, "-f", "exported").out) == PrivateKey.from_file(name).public_key
    same("-e", "-m", form, "-f", f"{name}.locked")


def test_texts_with_many_keys():
    lines = [Path(f"{name}.pub").read_text() for name in NAMES]
    keys = [" ".join(line.split()[:2]) for line in lines]
    text = "# comment\n" + "".join(lines) + f'restrict,command="a b" {keys[0]} x y\nhost {keys[1]} # z\nnonsense\n\n  {keys[2]} q\n'
    for words in (["-l"], ["-lv", "-E", "md5"], ["-B"]):
        same(*words, "-f", "-", stdin=text.encode())
        same(*words, "-f", "/dev/stdin", stdin=text.encode())
    same("-l", "-f", "-", stdin=b"nothing\n")


KNOWN_HOSTS = """# a comment

build.example,192.0.2.1 {0} com ment
[build.example]:2222 {1}
*.wild,!no.wild {4}
@cert-authority *.ca {1} ca
@revoked build.example {4} rev
other.example {2} spaced  out
"""


@pytest.fixture
def known_hosts(work: Path) -> Path:
    keys = [" ".join(Path(f"{name}.pub").read_text().split()[:2]) for name in NAMES]
    path = work / "hosts"
    path.write_text(KNOWN_HOSTS.format(*keys))
    return path


@pytest.mark.parametrize(
    "host", ["build.example", "BUILD.example", "192.0.2.1", "[build.example]:2222", "a.wild", "no.wild", "a.ca", "nobody"]
)
def test_hosts(host: str, known_hosts: Path):
    before = known_hosts.read_text()
    for words in ([], ["-l"], ["-lv"], ["-q"], ["-l", "-E", "md5"]):
        same(*words, "-F", host, "-f", "hosts")
    mine = ours("-R", host, "-f", "hosts")
    after = known_hosts.read_text()
    known_hosts.write_text(before)
    assert (mine.status, mine.out) == (theirs("-R", host, "-f", "hosts").status, mine.out)
    assert known_hosts.read_text() == after
    known_hosts.write_text(before)
    assert theirs("-R", host, "-f", "hosts").out == mine.out


def test_hashed_hosts(known_hosts: Path):
    before = known_hosts.read_text()
    told = [run("-H", "-f", "hosts") for run in (ours, theirs_on_a_copy(before))]
    assert told[0].out == told[1].out
    assert told[0].err == told[1].err
    shown = re.compile(r"\|1\|\S+\|\S+ ")
    assert shown.sub("HASH ", known_hosts.read_text()) == shown.sub("HASH ", Path("copy/hosts").read_text())
    for host in ("build.example", "192.0.2.1", "[build.example]:2222", "a.wild", "other.example"):
        for words in ([], ["-l"]):
            same(*words, "-F", host, "-f", "hosts")
            same(*words, "-F", host, "-f", "copy/hosts")
    assert Path("hosts.old").read_text() == before


def theirs_on_a_copy(text: str):
    """ssh-keygen with a file of the same name in another folder."""
    Path("copy").mkdir()
    Path("copy/hosts").write_text(text)

    def run(*words: str) -> Output:
        command = [require_program("ssh-keygen"), *words]
        result = subprocess.run(command, cwd="copy", capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)
        return Output(result.returncode, result.stdout.decode(), result.stderr.decode().replace("\r", ""))

    return run


# --- what is made -----------------------------------------------------------------------------------------------------------------------


FORMS = [(kind, form) for kind in KINDS for form in (None, "PEM", "PKCS8") if kind[0] != "ed25519" or form is None]


@pytest.mark.parametrize(("kind", "form"), FORMS)
@pytest.mark.parametrize("passphrase", ["", "secret of ours"])
def test_each_reads_the_others_keys(kind: tuple[str, int | None], form: str | None, passphrase: str):
    words = [] if kind[1] is None else ["-b", str(kind[1])]
    words += [] if form is None else ["-m", form]
    made = ours("-q", "-t", kind[0], *words, "-f", "made", "-N", passphrase, "-C", "by us", "-a", "1")
    assert made == Output(0, "", "")
    same("-y", "-f", "made", "-P", passphrase)
    same("-l", "-f", "made")
    assert theirs("-p", "-f", "made", "-P", passphrase, "-N", "changed", "-a", "1").status == 0
    changed = ours("-p", "-f", "made", "-P", "changed", "-N", "")
    comment = "Key has comment 'by us'\n" if form is None else ""
    assert changed == Output(0, f"{comment}Your identification has been saved with the new passphrase.\n", "")
    assert theirs("-y", "-f", "made").out.split()[:2] == Path("made.pub").read_text().split()[:2]


@pytest.mark.parametrize("cipher", KEY_CIPHERS)
def test_ciphers(cipher: str):
    for make, change in ((ours, theirs), (theirs, ours)):
        words = ("-a", "1", "-Z", cipher, "-f", f"made-by-{make.__name__}")
        assert make("-q", "-t", "ed25519", "-N", "secret", "-C", "me", *words).status == 0
        assert change("-p", "-P", "secret", "-N", "other", *words).out.startswith("Key has comment 'me'\n")
        same("-y", "-P", "other", "-f", words[-1])
    assert same("-t", "ed25519", "-Z", "rot13", "-f", "x", "-N", "").status == 255


@pytest.mark.parametrize("name", NAMES)
def test_comments(name: str):
    for first, second in ((ours, theirs), (theirs, ours)):
        assert first("-c", "-f", f"{name}.locked", "-P", "secret", "-C", "x y", "-a", "1").status == 0
        said = second("-c", "-f", f"{name}.locked", "-P", "secret", "-C", f"a comment of {name}", "-a", "1")
        assert said == Output(0, f"Old comment: x y\nComment 'a comment of {name}' applied\n", "")
    assert Path(f"{name}.locked.pub").read_text().endswith(f" a comment of {name}\n")


def test_what_is_said_while_a_key_is_made():
    def shape(text: str) -> str:
        text = re.sub(r"SHA256:\S+", "FINGERPRINT", text)
        return re.sub(r"^\|.*\|$", "|", text, flags=re.MULTILINE)

    words = ("-t", "ed25519", "-N", "", "-C", "me", "-f", "same")
    for stdin in (b"", b"y\n", b"n\n"):
        said = []
        for run in (ours, theirs):
            if not stdin:
                Path("same").unlink(missing_ok=True)
            result = run(*words, stdin=stdin)
            said.append((result.status, shape(result.out)))
        assert said[0] == said[1]


@pytest.mark.parametrize(
    "words",
    [
        ["-t", "nonsense"],
        ["-t", "ecdsa", "-b", "300"],
        ["-t", "rsa", "-b", "100000"],
        ["-t", "ed25519", "-a", "0"],
        ["-t", "ed25519", "-b", "many"],
        ["-t", "ed25519", "-Z", "nonsense"],
        ["-p", "-c"],
        ["-l", "word"],
        ["-l", "-E", "nonsense", "-f", "ed25519"],
        ["-e", "-m", "nonsense", "-f", "ed25519"],
        ["-l", "-f", "nowhere"],
        ["-y", "-f", "nowhere"],
        ["-y", "-f", "ed25519.pub"],
        ["-p", "-f", "nowhere", "-N", ""],
        ["-p", "-f", "ed25519.locked", "-P", "wrong", "-N", ""],
        ["-L", "-f", "ed25519.pub"],
        ["-L", "-f", "nowhere"],
        ["-F", "host", "-f", "nowhere"],
        ["-R", "host", "-f", "nowhere"],
        ["-H", "-f", "nowhere"],
        ["-i", "-f", "ed25519.pub"],
        ["-i", "-m", "PKCS8", "-f", "ed25519.pub"],
        ["-s", "ed25519", "rsa-2048.pub"],
        ["-s", "ed25519", "-I", "x"],
        ["-s", "ed25519", "-I", "x", "nowhere.pub"],
        ["-s", "ed25519", "-I", "x", "-V", "nonsense", "rsa-2048.pub"],
        ["-s", "ed25519", "-I", "x", "-O", "nonsense", "rsa-2048.pub"],
        ["-s", "ed25519", "-I", "x", "-z", "nonsense", "rsa-2048.pub"],
        ["-s", "ed25519", "-I", "x", "-n", "a,,b", "rsa-2048.pub"],
        ["-s", "ed25519", "-I", "x", "-t", "rsa-sha2-512", "rsa-2048.pub"],
        ["-s", "rsa-2048", "-I", "x", "-t", "nonsense", "ed25519.pub"],
    ],
    ids=" ".join,
)
def test_statuses_of_what_cannot_be_done(words: list[str]):
    same(*words)
    made = [name for name in os.listdir() if "-cert" in name]
    assert made == []


def test_a_key_that_others_can_read():
    os.chmod("ed25519", 0o644)
    assert same("-y", "-f", "ed25519").status == 255


@pytest.mark.parametrize("kind", SECURITY_KEY_TYPES)
def test_keys_that_live_on_security_keys(kind: str):
    """Their files hold a handle: it is shown, converted and certified like any other key."""
    handle = SoftwareKey.generate(kind).private_key().with_comment("in my pocket")
    write_key_pair(handle, "handle")
    for words in (["-l"], ["-lv"], ["-B"], ["-y"], ["-e"]):
        same(*words, "-f", "handle")
    for change, other in ((ours, theirs), (theirs, ours)):
        assert change("-p", "-f", "handle", "-P", "", "-N", "secret", "-a", "1").status == 0
        assert other("-p", "-f", "handle", "-P", "secret", "-N", "").out.startswith("Key has comment 'in my pocket'\n")
    shown = []
    for sign in (ours, theirs):
        assert sign("-q", "-s", "ed25519", "-I", "x", "-O", "no-touch-required", "handle.pub").status == 0
        shown.append(same("-L", "-f", "handle-cert.pub").out + same("-lv", "-f", "handle-cert.pub").out)
    assert shown[0] == shown[1]
    refused = same("-s", "handle", "-I", "x", "ed25519.pub")
    assert (refused.status, refused.err.count("\n")) == (255, 1)


def test_openssl_reads_what_is_written():
    for kind, form in (("ed25519", "PKCS8"), ("ed448", "PKCS8"), ("ecdsa", "PKCS8"), ("ecdsa", "PEM"), ("rsa", "PEM")):
        for passphrase in ("", "secret"):
            words = ["-q", "-t", kind, "-m", form, "-f", f"{kind}-{form}-{passphrase}", "-N", passphrase]
            assert ours(*words, *(["-b", "2048"] if kind == "rsa" else [])).status == 0
            result = theirs("pkey", "-in", words[6], "-passin", f"pass:{passphrase}", "-pubout", program="openssl")
            assert result.status == 0, result
            Path("public").write_text(result.out)
            imported = ours("-i", "-m", "PKCS8", "-f", "public").out
            assert imported.split() == Path(f"{words[6]}.pub").read_text().split()[:2]


# --- certificates -----------------------------------------------------------------------------------------------------------------------

FUTURE = ["-V", "20300101000000Z:20310101120000Z"]
SIGNING: list[Sequence[str]] = [
    ["-I", "an id", "-n", "ada,root"],
    ["-I", "x", "-z", "18446744073709551615", *FUTURE],
    ["-I", "x", "-V", "20300101:forever"],
    ["-I", "x", "-V", "always:20300101"],
    ["-I", "x", "-V", "always:forever"],
    ["-I", "x", "-V", "0x10:0x7fffffff"],
    ["-I", "x", "-O", "clear"],
    ["-I", "x", "-O", "clear", "-O", "permit-pty", "-O", "permit-x11-forwarding"],
    ["-I", "x", "-O", "no-agent-forwarding", "-O", "no-port-forwarding", "-O", "no-user-rc", "-O", "no-pty", "-O", "no-x11-forwarding"],
    ["-I", "x", "-O", "force-command=/bin/ls -l", "-O", "source-address=192.0.2.0/24,2001:db8::/32"],
    ["-I", "x", "-O", "verify-required", "-O", "no-touch-required"],
    ["-I", "x", "-O", "critical:a@example.com=value", "-O", "critical:b@example.com", "-O", "extension:c@example.com=v"],
    ["-h", "-I", "a host", "-n", "build.example,*.example"],
    ["-q", "-I", "x"],
]


@pytest.mark.parametrize("words", SIGNING, ids=" ".join)
def test_certificates_of_either(words: Sequence[str]):
    """Both sign the same, but for the nonce and the signature; and each shows what the other has made."""
    shown = []
    for sign in (ours, theirs):
        run = sign("-s", "ed25519", *words, "ecdsa-256.pub", "rsa-2048.pub")
        assert (run.status, run.out) == (0, "")
        shown.append(run.err.replace("\r", "") + same("-L", "-f", "ecdsa-256-cert.pub").out + same("-L", "-f", "rsa-2048-cert.pub").out)
        same("-l", "-f", "rsa-2048-cert.pub")
        same("-lv", "-f", "ecdsa-256-cert.pub")
    assert shown[0] == shown[1]


@pytest.mark.parametrize("authority", NAMES)
@pytest.mark.parametrize("subject", NAMES)
def test_certificates_of_every_type(authority: str, subject: str):
    shown = []
    for sign in (ours, theirs):
        assert sign("-q", "-s", authority, "-I", "x", "-z", "+7", f"{subject}.pub").status == 0
        shown.append(same("-L", "-f", f"{subject}-cert.pub").out)
    assert shown[0] == shown[1]


@pytest.mark.parametrize("algorithm", ["rsa-sha2-256", "rsa-sha2-512"])
def test_the_algorithm_of_an_rsa_authority(algorithm: str):
    for sign in (ours, theirs):
        assert sign("-q", "-s", "rsa-2048", "-t", algorithm, "-I", "x", "ed25519.pub").status == 0
        assert f"(using {algorithm})" in same("-L", "-f", "ed25519-cert.pub").out


def test_a_locked_authority_and_a_text_of_certificates():
    for sign in (ours, theirs):
        assert sign("-q", "-s", "ed25519.locked", "-P", "secret", "-I", "x", "ecdsa-256.pub").status == 0
    line = Path("ecdsa-256-cert.pub").read_text()
    Path("many").write_text(f"{line}# comment\n\n{Path('ed25519.pub').read_text()}{line}")
    same("-L", "-f", "many")
    same("-L", "-f", "-", stdin=Path("many").read_bytes())
    same("-l", "-f", "many")


def test_an_authority_in_an_agent(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    with running_agent(tmp_path_factory.mktemp("agent")) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", agent.path)
        for name in ("ed25519", "rsa-2048"):
            assert theirs("-q", name, program="ssh-add").status == 0
            shown = []
            for sign in (ours, theirs):
                assert sign("-q", "-s", f"{name}.pub", "-U", "-I", "x", "-V", "always:20300101Z", "ecdsa-256.pub").status == 0
                shown.append(same("-L", "-f", "ecdsa-256-cert.pub").out)
            assert shown[0] == shown[1]
        assert same("-s", "ecdsa-384.pub", "-U", "-I", "x", "ecdsa-256.pub").status == 255  # it has no such key
    assert same("-s", "ed25519.pub", "-U", "-I", "x", "ecdsa-256.pub").status == 255


# --- keyscan ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scanned_port(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An sshd with keys of every type, and a certificate of one."""
    key = keyring.host_key_file("ssh-ed25519")
    PrivateKey.generate().write_file(folder := tmp_path_factory.mktemp("scanned") / "ca")
    public = key.with_name(key.name + ".scanned.pub")
    public.write_text(keyring.host_keys["ssh-ed25519"].public_key.to_openssh_line() + "\n")
    assert theirs("-q", "-s", str(folder), "-h", "-I", "host", "-n", "localhost", str(public)).status == 0
    certificate = public.with_name(public.name.removesuffix(".pub") + "-cert.pub")
    with running_sshd(keyring, folder.parent, extra=[f"HostCertificate {certificate}"]) as sshd:
        yield sshd.port


@pytest.mark.parametrize(
    "words",
    [
        ["127.0.0.1"],
        ["-t", "ed25519", "127.0.0.1", "localhost"],
        ["-t", "rsa,ecdsa", "-4", "localhost"],
        ["-c", "127.0.0.1"],
        ["-c", "-t", "rsa", "127.0.0.1"],
        ["-D", "127.0.0.1"],
        ["-t", "ed25519", "127.0.0.1,one,two"],
        ["-t", "ed25519", "127.0.0.0/31"],
        ["-t", "nonsense", "127.0.0.1"],
        ["-T", "0", "127.0.0.1"],
        ["-f", "nowhere"],
        [],
    ],
    ids=" ".join,
)
def test_scans(words: list[str], scanned_port: int):
    words = ["-p", str(scanned_port), *words]
    mine, other = run_here("keyscan", *words), theirs(*words, program="ssh-keyscan")
    assert mine.status == other.status
    assert sorted(mine.out.splitlines()) == sorted(other.out.splitlines())
    comments = [sorted(line for line in text.splitlines() if line[:1] in ("#", ";")) for text in (mine.err, other.err)]
    assert comments[0] == comments[1]


def test_a_scan_is_good_for_known_hosts(scanned_port: int, work: Path):
    for words in ([], ["-H"]):
        run = run_here("keyscan", "-p", str(scanned_port), *words, "127.0.0.1")
        Path("hosts").write_text(run.out)
        for find in (ours, theirs):
            assert find("-F", f"[127.0.0.1]:{scanned_port}", "-f", "hosts").out.count("found: line") == 3
