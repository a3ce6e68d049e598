"""The host key policies, without a network: what they accept, what they refuse and why, what they save."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import trio_ssh
from trio_ssh import AcceptNew, AskUser, HostKeyChanged, HostKeyError, HostKeyRevoked, HostKeyUnknown, KnownHosts, PrivateKey, PublicKey
from trio_ssh.client.host_keys import AcceptChanged, HostCertificatePolicy, HostKeyDoubt, HostKeyUpdatePolicy, PinnedKeys, TrustAnyHostKey
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate
from trio_ssh.keys.certificates import CERTIFICATE_KEY_TYPES, FOREVER, Certificate, CertificateKind
from trio_ssh.keys.known_hosts import hash_name
from trio_ssh.keys.known_hosts_edit import remove_host

KEY = PrivateKey.generate().public_key
OTHER = PrivateKey.generate().public_key
ECDSA = PrivateKey.generate("ecdsa").public_key
AUTHORITY = PrivateKey.generate()
NOW = 1_800_000_000


def certificate(authority: PrivateKey = AUTHORITY, **options) -> Certificate:
    values = {
        "kind": CertificateKind.HOST,
        "key_id": "a host",
        "principals": ("host",),
        "valid_after": NOW - 10,
        "valid_before": NOW + 10,
        **options,
    }
    return sign_certificate(authority, CertificateRequest(public_key=KEY, **values))


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "known hosts"
    path.touch()
    return path


def known(file: Path, *lines: str, **options) -> KnownHosts:
    file.write_text("".join(f"{line}\n" for line in lines))
    return KnownHosts([file], clock=lambda: NOW, **options)


def line(key: PublicKey, hosts: str = "host", marker: str = "") -> str:
    return f"{marker}{hosts} {key.to_openssh_line()}"


async def yes(question: trio_ssh.HostKeyQuestion) -> bool:
    return True


async def no(question: trio_ssh.HostKeyQuestion) -> bool:
    return False


def each_policy(files: KnownHosts) -> list[trio_ssh.HostKeyPolicy]:
    return [files, AcceptNew(files), AskUser(files, yes), AcceptChanged(files)]


# --- plain keys --------------------------------------------------------------------------------------------------------------------------


async def test_a_saved_key_passes_every_policy(file):
    for policy in each_policy(known(file, line(KEY))):
        assert await policy.check("host", 22, KEY) is None
    assert file.read_text() == line(KEY) + "\n"


async def test_pain_22_an_unknown_key_by_policy(file):
    """Strict refuses; the others save it, so that the next connection is silent."""
    files = known(file)
    for refusing in (files, AskUser(files, no)):
        with pytest.raises(HostKeyUnknown, match="the host key of host is not known: ssh-ed25519 SHA256:") as caught:
            await refusing.check("host", 22, KEY)
        assert caught.value.offered == KEY.fingerprint()
        assert str(file) in str(caught.value)
    assert file.read_text() == ""
    for accepting in each_policy(files)[1:]:
        known(file)
        await accepting.check("host", 2222, KEY)
        assert file.read_text() == line(KEY, "[host]:2222") + "\n"
        await files.check("host", 2222, KEY)


async def test_what_a_user_is_asked(file):
    """The fingerprint and the picture, other types and other names; the answer may take as long as it likes."""
    asked = []

    async def prompt(question: trio_ssh.HostKeyQuestion) -> bool:
        asked.append(question.text().splitlines())
        return True

    hidden = hash_name("hidden")
    await AskUser(known(file, line(ECDSA), line(KEY, "other,10.0.0.1"), line(KEY, hidden)), prompt).check("host", 22, KEY)
    [text] = asked
    assert text[:2] == ["The authenticity of host 'host' can't be established.", f"ED25519 key fingerprint is {KEY.fingerprint()}."]
    assert text[2:13] == trio_ssh.keys.randomart(KEY.blob, "ED25519 256").splitlines()
    assert text[13:16] == [
        "This key is known by these other names:",
        f"    {file} line 2: other,10.0.0.1",
        f"    {file} line 3: (a hashed name)",
    ]
    assert text[16:] == ["WARNING: keys of other types are saved for this host: ecdsa-sha2-nistp256."]
    assert file.read_text().splitlines()[-1] == line(KEY)


async def test_a_new_key_of_another_type_is_nothing_to_accept_unasked(file):
    files = known(file, line(ECDSA))
    with pytest.raises(HostKeyUnknown, match="keys of other types are saved for it: ecdsa-sha2-nistp256"):
        await AcceptNew(files).check("host", 22, KEY)


async def test_a_changed_key_is_refused_with_the_command_that_removes_it(file):
    """The command stands at the end, ready for a shell; done as it says, the key is unknown again."""
    files = known(file, "# comment", line(OTHER, "[host]:2222"))
    words: list[str] = []
    for policy in each_policy(files)[:3]:
        with pytest.raises(HostKeyChanged, match="HAS CHANGED") as caught:
            await policy.check("host", 2222, KEY)
        assert (caught.value.path, caught.value.line, caught.value.known) == (str(file), 2, (OTHER.fingerprint(),))
        assert f"{file} line 2" in str(caught.value)
        words = shlex.split(str(caught.value).partition("remove the saved key: ")[2])
        assert words == ["trio-ssh-keygen", "-f", str(file), "-R", "[host]:2222"]
    remove_host(words[2], words[4])
    with pytest.raises(HostKeyUnknown):
        await files.check("host", 2222, KEY)


async def test_a_changed_key_in_several_files(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text(f"{line(OTHER)}\n{line(OTHER, '*')}\n")
    files = KnownHosts(paths)
    with pytest.raises(HostKeyChanged, match=r"a line 1 and .*a line 2 and .*b line 1 and .*b line 2") as caught:
        await files.check("host", 22, KEY)
    commands = str(caught.value).partition("remove the saved key: ")[2].split(" && ")
    assert [shlex.split(command)[2:] for command in commands] == [[str(path), "-R", "host"] for path in paths]
    for path in paths:
        remove_host(path, "host")
    with pytest.raises(HostKeyUnknown):
        await files.check("host", 22, KEY)


@pytest.mark.parametrize("marked", [KEY, AUTHORITY.public_key], ids=["the key", "its authority"])
async def test_b14_e04_revoked_wins_over_every_policy(file, marked):
    files = known(file, line(marked, "*", "@revoked "), line(KEY), line(AUTHORITY.public_key, "*", "@cert-authority "))
    for policy in each_policy(files):
        assert isinstance(policy, HostCertificatePolicy)
        if marked is KEY:
            with pytest.raises(HostKeyRevoked, match="line 1"):
                await policy.check("host", 22, KEY)
        with pytest.raises(HostKeyRevoked, match=r"is marked as revoked in .*known hosts line 1") as caught:
            await policy.check_certificate("host", 22, certificate())
        assert caught.value.line == 1


async def test_e06_with_checking_off_a_changed_key_passes_with_a_doubt(file):
    policy = AcceptChanged(known(file, line(OTHER)))
    assert await policy.check("host", 22, KEY) is HostKeyDoubt.CHANGED
    assert file.read_text() == line(OTHER) + "\n"
    assert await policy.check("host", 22, OTHER) is None
    assert await policy.check_certificate("host", 22, certificate()) is HostKeyDoubt.CHANGED


async def test_no_check_at_all_knows_of_no_doubt():
    policies: list[trio_ssh.HostKeyPolicy] = [TrustAnyHostKey.DANGEROUS, PinnedKeys([KEY])]
    for policy in policies:
        assert await policy.check("host", 22, KEY) is None
    with pytest.raises(HostKeyUnknown, match="none of the pinned ones"):
        await PinnedKeys([OTHER]).check("host", 22, KEY)


# --- certificates ------------------------------------------------------------------------------------------------------------------------


async def test_pain_23_a_certificate_of_a_known_authority_needs_no_saved_key(file):
    files = known(file, line(AUTHORITY.public_key, "host,*.example", "@cert-authority "))
    before = file.read_text()
    for policy in each_policy(files):
        assert isinstance(policy, HostCertificatePolicy)
        assert await policy.check_certificate("host", 22, certificate()) is None
        assert await policy.check_certificate("HOST", 2222, certificate()) is None
        assert await policy.check_certificate("a.example", 22, certificate(principals=("*.example",))) is None
        assert list(await policy.key_types("host", 22)) == list(CERTIFICATE_KEY_TYPES)
    assert file.read_text() == before


BAD = {
    "expired": ({"valid_before": NOW}, "expired"),
    "not yet valid": ({"valid_after": NOW + 5}, "not valid yet"),
    "of another host": ({"principals": ("elsewhere",)}, "not for 'host' but for"),
    "of no host": ({"principals": ()}, "not for 'host'"),
    "with a comma in its name": ({"principals": ("host,elsewhere",)}, "not for 'host'"),
    "of a user": ({"kind": CertificateKind.USER}, "user"),
    "with a demand": ({"critical_options": {"x@example": b""}}, "x@example"),
}


@pytest.mark.parametrize(("options", "why"), BAD.values(), ids=list(BAD))
async def test_b14_a_bad_certificate_of_a_known_authority_is_refused(file, options, why):
    """Whatever the policy, and though the plain key is saved as well; the error says what is wrong, and whose line it was."""
    files = known(file, line(KEY), line(AUTHORITY.public_key, "*", "@cert-authority "))
    for policy in each_policy(files):
        assert isinstance(policy, HostCertificatePolicy)
        with pytest.raises(HostKeyError, match=r"the host certificate of host .* is not accepted: ") as caught:
            await policy.check_certificate("host", 22, certificate(**options))
        assert why in str(caught.value)
        assert (caught.value.path, caught.value.line, caught.value.offered) == (str(file), 2, KEY.fingerprint())
    assert file.read_text() == f"{line(KEY)}\n{line(AUTHORITY.public_key, '*', '@cert-authority ')}\n"


async def test_a_certificate_of_a_stranger_is_the_plain_key_in_it(file):
    """Expired or not: who signed it is nobody we know."""
    stranger = certificate(PrivateKey.generate(), valid_after=0, valid_before=FOREVER)
    files = known(file, line(AUTHORITY.public_key, "elsewhere", "@cert-authority "))
    with pytest.raises(HostKeyUnknown):
        await files.check_certificate("host", 22, stranger)
    with pytest.raises(HostKeyUnknown):
        await files.check_certificate("host", 22, certificate())
    await AskUser(files, yes).check_certificate("host", 22, stranger)
    assert file.read_text().splitlines()[-1] == line(KEY)
    await files.check_certificate("host", 22, stranger)
    with pytest.raises(HostKeyChanged):
        await known(file, line(OTHER)).check_certificate("host", 22, stranger)


async def test_the_clock_is_asked_each_time(file):
    now = [NOW]
    file.write_text(line(AUTHORITY.public_key, "host", "@cert-authority ") + "\n")
    files = KnownHosts(file, clock=lambda: now[0])
    await files.check_certificate("host", 22, certificate())
    now[0] += 10
    with pytest.raises(HostKeyError, match="expired"):
        await files.check_certificate("host", 22, certificate())


def test_which_policies_can_do_what(file):
    files = KnownHosts(file)
    certifying = [files, AcceptNew(files), AskUser(files, yes), AcceptChanged(files)]
    assert all(isinstance(policy, HostCertificatePolicy) for policy in certifying)
    assert not any(isinstance(policy, HostCertificatePolicy) for policy in (PinnedKeys([KEY]), TrustAnyHostKey.DANGEROUS))
    learning = [policy for policy in (*certifying, PinnedKeys([KEY])) if isinstance(policy, HostKeyUpdatePolicy)]
    assert learning == certifying[:3]
    assert not any(policy.learns_keys for policy in learning)
