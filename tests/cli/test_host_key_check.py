"""StrictHostKeyChecking, without a network: which keys pass, what is asked, what is saved."""

from __future__ import annotations

import pytest

from trio_ssh import (
    HostKeyChanged,
    HostKeyChanges,
    HostKeyDoubt,
    HostKeyError,
    HostKeyRevoked,
    HostKeyUnknown,
    KnownHosts,
    PrivateKey,
    PublicKey,
)
from trio_ssh.cli.host_key_check import QUESTION, QUESTION_AGAIN, HostKeyCheck, is_localhost
from trio_ssh.config import StrictHostKeyChecking as Checking
from trio_ssh.config.ssh_values import UpdateHostKeys
from trio_ssh.keys import randomart
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate
from trio_ssh.keys.certificates import CERTIFICATE_KEY_TYPES, FOREVER, Certificate, CertificateKind

KEY = PrivateKey.generate().public_key
OTHER = PrivateKey.generate().public_key
ECDSA = PrivateKey.generate("ecdsa").public_key


class Person:
    """Answers in turn; None, nobody is there, behind the last answer."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def ask(self, question: str) -> str | None:
        self.questions.append(question)
        return self.answers.pop(0) if self.answers else None


def make_check(tmp_path, checking: Checking, person: Person, content: str = "", **settings) -> HostKeyCheck:
    (tmp_path / "known_hosts").write_text(content)
    return HostKeyCheck(KnownHosts([tmp_path / "known_hosts"]), checking, person.ask, **{"is_at_terminal": lambda: False, **settings})


def line(key: PublicKey, marker: str = "") -> str:
    return f"{marker}[host]:2222 {key.to_openssh_line()}\n"


async def test_a_known_key_passes_without_a_word(tmp_path):
    for checking in Checking:
        person = Person()
        await make_check(tmp_path, checking, person, line(KEY)).check("host", 2222, KEY)
        assert not person.questions


@pytest.mark.parametrize("answers", [["yes"], [" YES "], [KEY.fingerprint()], ["y", "", "yes"]])
async def test_accepted_and_saved(tmp_path, answers):
    person = Person(*answers)
    check = make_check(tmp_path, Checking.ASK, person)
    await check.check("host", 2222, KEY)
    assert (tmp_path / "known_hosts").read_text() == line(KEY)
    assert "The authenticity of host '[host]:2222' can't be established." in person.questions[0]
    assert f"ED25519 key fingerprint is {KEY.fingerprint()}." in person.questions[0]
    assert randomart(KEY.blob, "ED25519 256") in person.questions[0]
    assert person.questions[0].endswith(QUESTION)
    assert person.questions[1:] == [QUESTION_AGAIN] * (len(answers) - 1)
    await check.check("host", 2222, KEY)
    assert len(person.questions) == len(answers)


@pytest.mark.parametrize("answers", [["no"], [OTHER.fingerprint()], ["what?", "no"], []])
async def test_refused(tmp_path, answers):
    with pytest.raises(HostKeyUnknown, match=r"\[host\]:2222 is not known"):
        await make_check(tmp_path, Checking.ASK, Person(*answers)).check("host", 2222, KEY)
    assert (tmp_path / "known_hosts").read_text() == ""


@pytest.mark.parametrize(("checking", "accepted"), [(Checking.YES, False), (Checking.ACCEPT_NEW, True), (Checking.NO, True)])
async def test_unknown_and_nobody_asked(tmp_path, checking, accepted):
    person = Person("yes")
    check = make_check(tmp_path, checking, person)
    if accepted:
        await check.check("host", 2222, KEY)
    else:
        with pytest.raises(HostKeyUnknown):
            await check.check("host", 2222, KEY)
    assert (tmp_path / "known_hosts").read_text() == (line(KEY) if accepted else "")
    assert not person.questions
    assert not check.changed


@pytest.mark.parametrize(("checking", "accepted"), [(Checking.ASK, False), (Checking.ACCEPT_NEW, False), (Checking.NO, True)])
async def test_a_key_of_another_type_is_known(tmp_path, checking, accepted):
    person = Person("no")
    check = make_check(tmp_path, checking, person, line(ECDSA))
    if accepted:
        await check.check("host", 2222, KEY)
    else:
        with pytest.raises(HostKeyUnknown, match="keys of other types"):
            await check.check("host", 2222, KEY)
    assert [("ecdsa-sha2-nistp256" in question) for question in person.questions] == [True] * (checking is Checking.ASK)


@pytest.mark.parametrize("checking", list(Checking))
async def test_e06_changed(tmp_path, checking):
    person = Person("yes")
    check = make_check(tmp_path, checking, person, "# comment\n" + line(OTHER))
    if checking is Checking.NO:
        assert await check.check("host", 2222, KEY) is HostKeyDoubt.CHANGED
        assert check.changed  # and so no password will be sent
    else:
        with pytest.raises(HostKeyChanged, match="known_hosts line 2") as caught:
            await check.check("host", 2222, KEY)
        assert f"trio-ssh-keygen -f {tmp_path}/known_hosts -R '[host]:2222'" in str(caught.value)
        assert caught.value.line == 2
    assert not person.questions


@pytest.mark.parametrize("checking", list(Checking))
async def test_e04_revoked(tmp_path, checking):
    with pytest.raises(HostKeyRevoked):
        await make_check(tmp_path, checking, Person("yes"), line(KEY, "@revoked ")).check("host", 2222, KEY)


async def test_a_key_that_cannot_be_saved_is_used_all_the_same():
    check = HostKeyCheck(KnownHosts(["/proc/nowhere/known_hosts"]), Checking.ACCEPT_NEW, Person().ask)
    await check.check("host", 2222, KEY)


# --- further settings of ssh_config(5) ---------------------------------------------------------------------------------------------------


async def test_host_key_alias_is_looked_up_without_a_port(tmp_path):
    person = Person("yes")
    check = make_check(tmp_path, Checking.ASK, person, alias="inner")
    await check.check("10.0.0.1", 2222, KEY)
    assert (tmp_path / "known_hosts").read_text() == f"inner {KEY.to_openssh_line()}\n"
    assert "The authenticity of host 'inner' can't be established." in person.questions[0]
    await check.check("10.0.0.2", 2200, KEY)
    assert await check.key_types("anything", 1) == ("ssh-ed25519",)
    with pytest.raises(HostKeyChanged, match="-R inner"):
        await check.check("10.0.0.1", 2222, OTHER)


async def test_visual_host_key_shows_the_picture_of_a_known_key(tmp_path, caplog):
    for shows_picture in (False, True):
        caplog.clear()
        await make_check(tmp_path, Checking.YES, Person(), line(KEY), shows_picture=shows_picture).check("host", 2222, KEY)
        assert (f"Host key fingerprint is {KEY.fingerprint()}\n{randomart(KEY.blob, 'ED25519 256')}" in caplog.text) is shows_picture


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1"])
async def test_localhost_is_not_checked_if_asked_so(tmp_path, host):
    check = make_check(tmp_path, Checking.YES, Person(), f"@revoked * {KEY.to_openssh_line()}\n", trusts_localhost=True)
    assert await check.check(host, 22, KEY) is None
    assert await check.check_certificate(host, 22, certificate()) is None
    assert await check.key_types(host, 22) == ()
    assert is_localhost(host)
    check.alias = "an alias"
    with pytest.raises(HostKeyRevoked):
        await check.check(host, 22, KEY)


@pytest.mark.parametrize("host", ["host", "128.0.0.1", "localhost.example", "::2", "127.1", ""])
async def test_others_are_checked_all_the_same(tmp_path, host):
    with pytest.raises(HostKeyUnknown):
        await make_check(tmp_path, Checking.YES, Person(), trusts_localhost=True).check(host, 22, KEY)


# --- certificates ------------------------------------------------------------------------------------------------------------------------

AUTHORITY = PrivateKey.generate()


def certificate(**options) -> Certificate:
    values = {"kind": CertificateKind.HOST, "principals": ("host", "inner"), "valid_after": 0, "valid_before": FOREVER, **options}
    return sign_certificate(AUTHORITY, CertificateRequest(public_key=KEY, **values))


@pytest.mark.parametrize("checking", list(Checking))
async def test_a_good_certificate_passes_without_a_word(tmp_path, checking):
    person = Person()
    content = f"@cert-authority * {AUTHORITY.public_key.to_openssh_line()}\n{line(OTHER)}"
    check = make_check(tmp_path, checking, person, content)
    assert await check.check_certificate("host", 2222, certificate()) is None
    assert list(await check.key_types("host", 2222)) == [*CERTIFICATE_KEY_TYPES, "ssh-ed25519"]
    check.alias = "inner"
    assert await check.check_certificate("10.0.0.1", 2222, certificate()) is None
    assert not person.questions
    assert not check.changed
    assert (tmp_path / "known_hosts").read_text() == content


@pytest.mark.parametrize("checking", list(Checking))
async def test_b14_a_bad_certificate_of_a_known_authority_is_refused(tmp_path, checking):
    content = f"@cert-authority * {AUTHORITY.public_key.to_openssh_line()}\n{line(KEY)}"
    with pytest.raises(HostKeyError, match="not accepted"):
        await make_check(tmp_path, checking, Person("yes"), content).check_certificate("host", 2222, certificate(valid_before=1))


async def test_a_certificate_of_a_stranger_is_asked_about_like_its_key(tmp_path):
    person = Person("yes")
    check = make_check(tmp_path, Checking.ASK, person)
    await check.check_certificate("host", 2222, certificate())
    assert (tmp_path / "known_hosts").read_text() == line(KEY)
    assert len(person.questions) == 1


# --- UpdateHostKeys ----------------------------------------------------------------------------------------------------------------------


async def plan(check: HostKeyCheck) -> HostKeyChanges:
    changes = await check.plan_update("host", 2222, KEY, [KEY, ECDSA])
    assert changes == HostKeyChanges("host", 2222, check.known_hosts.paths[0], (ECDSA,), (OTHER,))
    return changes


async def test_c18_update_host_keys_yes_saves_without_a_word(tmp_path):
    check = make_check(tmp_path, Checking.ASK, Person(), line(KEY) + line(OTHER), update_keys=UpdateHostKeys.YES)
    assert check.learns_keys
    await check.update(await plan(check))
    assert (tmp_path / "known_hosts").read_text() == line(KEY) + line(ECDSA)


@pytest.mark.parametrize("answers", [["yes"], ["what?", "YES "], ["no"], ["fine", "no"], []])
async def test_c18_update_host_keys_ask(tmp_path, answers):
    person = Person(*answers)
    check = make_check(tmp_path, Checking.ASK, person, line(KEY) + line(OTHER), update_keys=UpdateHostKeys.ASK)
    await check.update(await plan(check))
    accepted = bool(answers) and answers[-1].lower().startswith("yes")
    assert (tmp_path / "known_hosts").read_text() == (line(KEY) + line(ECDSA) if accepted else line(KEY) + line(OTHER))
    assert f"Learned new hostkey: ecdsa-sha2-nistp256 {ECDSA.fingerprint()}\n" in person.questions[0]
    assert f"Deprecating obsolete hostkey: ssh-ed25519 {OTHER.fingerprint()}\n" in person.questions[0]
    assert person.questions[0].endswith("Accept updated hostkeys? (yes/no): ")


async def test_c18_update_host_keys_ask_does_not_disturb_a_session_at_the_terminal(tmp_path, caplog):
    content = line(KEY) + line(OTHER)
    person = Person("yes")
    check = make_check(tmp_path, Checking.ASK, person, content, update_keys=UpdateHostKeys.ASK, is_at_terminal=lambda: True)
    await check.update(await plan(check))
    assert (tmp_path / "known_hosts").read_text() == content
    assert not person.questions
    assert "UpdateHostKeys=yes would save them" in caplog.text


def test_c18_nothing_is_learned_unless_wanted_and_checked(tmp_path):
    wanted = {
        (checking, update): make_check(tmp_path, checking, Person(), update_keys=update).learns_keys
        for checking in Checking
        for update in UpdateHostKeys
    }
    assert {pair for pair, learns in wanted.items() if learns} == {
        (checking, update)
        for checking in (Checking.YES, Checking.ASK, Checking.ACCEPT_NEW)
        for update in (UpdateHostKeys.YES, UpdateHostKeys.ASK)
    }


async def test_c18_update_for_an_alias_and_for_a_trusted_localhost(tmp_path):
    content = f"inner {KEY.to_openssh_line()}\n"
    check = make_check(tmp_path, Checking.YES, Person(), content, alias="inner", update_keys=UpdateHostKeys.YES)
    changes = await check.plan_update("10.0.0.1", 2222, KEY, [KEY, ECDSA])
    assert changes is not None
    await check.update(changes)
    assert (tmp_path / "known_hosts").read_text() == f"{content}inner {ECDSA.to_openssh_line()}\n"
    local = make_check(tmp_path, Checking.YES, Person(), f"localhost {KEY.to_openssh_line()}\n", trusts_localhost=True)
    assert await local.plan_update("localhost", 22, KEY, [KEY, ECDSA]) is None


async def test_fingerprint_hash_md5_is_shown_and_can_be_the_answer(tmp_path):
    person = Person(KEY.fingerprint(), KEY.fingerprint("md5"))
    with pytest.raises(HostKeyUnknown):  # the other digest's is not what is shown
        await make_check(tmp_path, Checking.ASK, person, digest="md5").check("host", 2222, KEY)
    await make_check(tmp_path, Checking.ASK, person, digest="md5").check("host", 2222, KEY)
    assert KEY.fingerprint("MD5") in person.questions[1]
    assert "[MD5]" in person.questions[1]
    assert "SHA256:" not in person.questions[1]
