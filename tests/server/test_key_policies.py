"""`AuthorizedKeys` and `TrustedUserCA`: what they say to an attempt, and that they look at their files again when those have changed."""

from __future__ import annotations

import os

import attrs
import pytest

import trio_ssh
from trio_ssh import RESTRICTED, AuthAttempt, AuthorizedKeys, KeyFileError, Permissions, PrivateKey, TrustedUserCA
from trio_ssh.connection.authenticator import Authenticator
from trio_ssh.keys.principals import parse_authorized_principals

USER, OTHER, AUTHORITY, OLD_AUTHORITY = (PrivateKey.generate() for _ in range(4))
NOW = 1.9e9
PTY = {"permit-pty": b""}
WITH_TERMINAL = attrs.evolve(RESTRICTED, terminal=True)


def line(key: PrivateKey, options: str = "") -> str:
    return f"{options} {key.public_key.to_openssh_line()}\n".lstrip()


def by_key(key: PrivateKey = USER, *, address: str = "192.0.2.7", proven: bool = True) -> AuthAttempt:
    return AuthAttempt(username="ada", method="publickey", public_key=key.public_key, proven=proven, address=address)


def by_certificate(*principals: str, authority: PrivateKey = AUTHORITY, address: str = "192.0.2.7", **more) -> AuthAttempt:
    request = trio_ssh.CertificateRequest(public_key=USER.public_key, principals=principals, **{"extensions": PTY, **more})
    certificate = trio_ssh.sign_certificate(authority, request)
    return AuthAttempt(username="ada", method="publickey", certificate=certificate, proven=True, address=address)


async def allowed(policy: Authenticator, attempt: AuthAttempt) -> Permissions | None:
    """None: refused, and then with a reason for the log, and never with permissions."""
    verdict = await policy(attempt)
    if verdict.accepted:
        return verdict.permissions
    assert verdict.permissions == Permissions()
    return None


# --- AuthorizedKeys ----------------------------------------------------------------------------------------------------------------------


async def test_keys_without_a_file():
    policy = AuthorizedKeys.of([USER.public_key])
    assert policy.methods == ("publickey",)
    assert await allowed(policy, by_key()) == Permissions()
    assert await allowed(policy, by_key(OTHER)) is None
    assert await allowed(policy, by_certificate("ada", authority=USER)) is None
    assert await allowed(policy, AuthAttempt(username="ada", method="password", password="x")) is None


async def test_a_question_about_a_key_gets_the_same_answer(tmp_path):
    (tmp_path / "keys").write_text(line(USER, 'restrict,from="10.0.0.0/8"'))
    policy = AuthorizedKeys.from_file(tmp_path / "keys")
    for proven in (False, True):
        assert await allowed(policy, by_key(address="10.0.0.1", proven=proven)) == RESTRICTED
        assert await allowed(policy, by_key(proven=proven)) is None


async def test_a_file_is_read_again_when_it_has_changed(tmp_path):
    path = tmp_path / "keys"
    path.write_text(line(USER))
    policy = AuthorizedKeys.from_file(path)
    assert await allowed(policy, by_key(OTHER)) is None
    path.write_text(line(USER, "restrict") + line(OTHER))
    assert await allowed(policy, by_key(OTHER)) == Permissions()
    assert await allowed(policy, by_key()) == RESTRICTED
    path.rename(tmp_path / "gone")
    with pytest.raises(KeyFileError, match="is gone: nobody is let in by it"):
        await policy(by_key())
    (tmp_path / "gone").rename(path)
    assert await allowed(policy, by_key()) == RESTRICTED
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo").replace(path)
    with pytest.raises(KeyFileError, match="not a regular file"):
        await policy(by_key())


async def test_what_cannot_be_read_at_the_start_raises(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be read"):
        AuthorizedKeys.from_file(tmp_path / "none")


async def test_the_clock_decides_about_expiry_time(tmp_path):
    (tmp_path / "keys").write_text(line(USER, 'expiry-time="20300102Z"'))
    moments = iter([1893542400.0, 1893542401.0])
    policy = AuthorizedKeys.from_file(tmp_path / "keys", clock=lambda: next(moments))
    assert await allowed(policy, by_key()) == Permissions()
    verdict = await policy(by_key())
    assert not verdict.accepted
    assert verdict.detail == "line 1: it has expired (expiry-time)"


async def test_certificates_by_the_line_of_their_authority(tmp_path):
    (tmp_path / "keys").write_text(line(OTHER) + line(AUTHORITY, 'cert-authority,principals="ops",command="x"'))
    policy = AuthorizedKeys.from_file(tmp_path / "keys", clock=lambda: NOW)
    assert await allowed(policy, by_certificate("ops")) == attrs.evolve(WITH_TERMINAL, force_command="x")
    assert await allowed(policy, by_certificate("ada")) is None
    assert await allowed(policy, by_certificate("ops", valid_before=int(NOW))) is None
    assert await allowed(policy, by_certificate("ops", authority=OTHER)) is None
    assert await allowed(policy, by_key(AUTHORITY)) is None


# --- TrustedUserCA -----------------------------------------------------------------------------------------------------------------------


async def test_the_username_must_be_a_principal():
    policy = TrustedUserCA(AUTHORITY.public_key, clock=lambda: NOW)
    assert policy.methods == ("publickey",)
    assert await allowed(policy, by_certificate("x", "ada")) == WITH_TERMINAL
    for principals in ((), ("x",), ("ada,x",), ("*",), ("Ada",)):
        assert await allowed(policy, by_certificate(*principals)) is None, principals
    assert await allowed(policy, by_key(AUTHORITY)) is None
    assert await allowed(policy, by_key()) is None
    assert await allowed(policy, AuthAttempt(username="ada", method="password", password="x")) is None


async def test_b14_what_does_not_hold_is_refused():
    policy = TrustedUserCA([AUTHORITY.public_key], clock=lambda: NOW)
    for more in (
        {"valid_before": int(NOW)},
        {"valid_after": int(NOW) + 1},
        {"kind": trio_ssh.CertificateKind.HOST},
        {"critical_options": {"source-address": ""}},
        {"critical_options": {"source-address": "10.0.0.0/8"}},
        {"critical_options": {"unheard-of": b""}},
        {"authority": OLD_AUTHORITY},
        {"critical_options": {"source-address": "192.0.2.0/24"}, "address": ""},
    ):
        verdict = await policy(by_certificate("ada", **more))
        assert not verdict.accepted, more
        assert verdict.detail


async def test_several_authorities_in_files_and_as_keys(tmp_path):
    path = tmp_path / "authorities"
    path.write_text("# ours\n" + line(OLD_AUTHORITY))
    policy = TrustedUserCA([OTHER.public_key, path], clock=lambda: NOW)
    for authority, there in ((OTHER, True), (OLD_AUTHORITY, True), (AUTHORITY, False)):
        assert (await allowed(policy, by_certificate("ada", authority=authority)) is not None) is there
    path.write_text(line(AUTHORITY))
    for authority, there in ((OTHER, True), (OLD_AUTHORITY, False), (AUTHORITY, True)):
        assert (await allowed(policy, by_certificate("ada", authority=authority)) is not None) is there
    path.unlink()
    with pytest.raises(KeyFileError, match="is gone"):
        await policy(by_certificate("ada", authority=AUTHORITY))


async def test_a_list_of_authorities_takes_no_options(tmp_path, caplog):
    path = tmp_path / "authorities"
    path.write_text(line(AUTHORITY, "cert-authority") + line(OLD_AUTHORITY, "restrict") + line(OTHER))
    policy = TrustedUserCA(str(path), clock=lambda: NOW)
    assert "takes no options" in caplog.text
    assert await allowed(policy, by_certificate("ada", authority=AUTHORITY)) is None
    assert await allowed(policy, by_certificate("ada", authority=OLD_AUTHORITY)) is None
    assert await allowed(policy, by_certificate("ada", authority=OTHER)) == WITH_TERMINAL
    with pytest.raises(KeyFileError, match="cannot be read"):
        TrustedUserCA(tmp_path / "none")


async def test_principals_by_name():
    asked = []

    async def principals(username: str) -> list[str]:
        asked.append(username)
        return ["ops", "admins"]

    policy = TrustedUserCA(AUTHORITY.public_key, principals, clock=lambda: NOW)
    assert await allowed(policy, by_certificate("admins")) == WITH_TERMINAL
    assert await allowed(policy, by_certificate("ada")) is None, "the username counts no more"
    assert await allowed(policy, by_certificate("ops,admins")) is None
    assert asked == ["ada"] * 3
    assert await allowed(policy, by_certificate("ops", authority=OTHER)) is None
    assert asked == ["ada"] * 3, "nobody is asked about certificates of strangers"


async def test_principals_of_nobody_let_nobody_in():
    async def nobody(username: str) -> list[str]:
        return []

    policy = TrustedUserCA(AUTHORITY.public_key, nobody, clock=lambda: NOW)
    assert await allowed(policy, by_certificate("ada")) is None
    assert await allowed(policy, by_certificate()) is None


async def test_one_text_is_no_list_of_principals():
    async def mistaken(username: str) -> str:
        return "ops"

    policy = TrustedUserCA(AUTHORITY.public_key, mistaken, clock=lambda: NOW)
    with pytest.raises(TypeError, match="a list of names"):
        await policy(by_certificate("o", "p", "s"))


async def test_b06_options_of_a_principals_line_narrow_the_certificate():
    entries = parse_authorized_principals('restrict,command="x" ops\nfrom="10.0.0.0/8" admins\nplain', "principals").entries

    async def principals(username: str) -> tuple[trio_ssh.AuthorizedPrincipal, ...]:
        return entries

    policy = TrustedUserCA(AUTHORITY.public_key, principals, clock=lambda: NOW)
    assert await allowed(policy, by_certificate("ops")) == attrs.evolve(RESTRICTED, force_command="x")
    assert await allowed(policy, by_certificate("admins")) is None
    assert await allowed(policy, by_certificate("admins", address="10.0.0.1")) == WITH_TERMINAL
    assert await allowed(policy, by_certificate("plain")) == WITH_TERMINAL
    assert await allowed(policy, by_certificate("ops", critical_options={"force-command": "y"})) is None
