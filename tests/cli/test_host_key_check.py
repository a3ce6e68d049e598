"""StrictHostKeyChecking, without a network: which keys pass, what is asked, what is saved."""

from __future__ import annotations

import pytest

from trio_ssh import HostKeyChanged, HostKeyRevoked, HostKeyUnknown, KnownHosts, PrivateKey, PublicKey
from trio_ssh.cli.host_key_check import QUESTION, QUESTION_AGAIN, HostKeyCheck
from trio_ssh.config import StrictHostKeyChecking as Checking

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


def make_check(tmp_path, checking: Checking, person: Person, content: str = "") -> HostKeyCheck:
    (tmp_path / "known_hosts").write_text(content)
    return HostKeyCheck(KnownHosts([tmp_path / "known_hosts"]), checking, person.ask)


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
async def test_changed(tmp_path, checking):
    person = Person("yes")
    check = make_check(tmp_path, checking, person, "# comment\n" + line(OTHER))
    if checking is Checking.NO:
        await check.check("host", 2222, KEY)
        assert check.changed  # and so no password will be sent
    else:
        with pytest.raises(HostKeyChanged, match="known_hosts line 2") as caught:
            await check.check("host", 2222, KEY)
        assert "ssh-keygen" in str(caught.value)
        assert caught.value.line == 2
    assert not person.questions


@pytest.mark.parametrize("checking", list(Checking))
async def test_revoked(tmp_path, checking):
    with pytest.raises(HostKeyRevoked):
        await make_check(tmp_path, checking, Person("yes"), line(KEY, "@revoked ")).check("host", 2222, KEY)


async def test_a_key_that_cannot_be_saved_is_used_all_the_same():
    check = HostKeyCheck(KnownHosts(["/proc/nowhere/known_hosts"]), Checking.ACCEPT_NEW, Person().ask)
    await check.check("host", 2222, KEY)
