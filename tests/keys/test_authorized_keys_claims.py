"""Who is let in by which line of authorized_keys, and with what permissions: keys, certificates, addresses, times."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ssh.keys import CertificateKind, CertificateRequest, PrivateKey, parse_authorized_keys, sign_certificate
from trio_ssh.keys.authorized_keys import Claim, Refusal, permissions_for
from trio_ssh.keys.certificates import Certificate
from trio_ssh.keys.permissions import RESTRICTED, Permissions

USER, OTHER, AUTHORITY = (PrivateKey.generate() for _ in range(3))
ADDRESS = "192.0.2.7"
NOW = 1_900_000_000.0
PERMIT_ALL = {f"permit-{name}": b"" for name in ("X11-forwarding", "agent-forwarding", "port-forwarding", "pty", "user-rc")}
LINE, CA_LINE = USER.public_key.to_openssh_line(), AUTHORITY.public_key.to_openssh_line()


def certificate(*principals: str, extensions: dict[str, bytes] | None = None, **more) -> Certificate:
    given_extensions = PERMIT_ALL if extensions is None else extensions
    return sign_certificate(
        AUTHORITY, CertificateRequest(public_key=USER.public_key, principals=principals, extensions=given_extensions, **more)
    )


def claim(shown: Certificate | None = None, *, username: str = "ada", address: str = ADDRESS, now: float = NOW, key: PrivateKey = USER):
    return Claim(username=username, address=address, now=now, public_key=None if shown else key.public_key, certificate=shown)


def answer(text: str, asked: Claim) -> Permissions | Refusal:
    return permissions_for(parse_authorized_keys(text, "ak").entries, asked)


def reason(text: str, asked: Claim) -> str:
    found = answer(text, asked)
    assert isinstance(found, Refusal)
    return found.reason


# --- keys --------------------------------------------------------------------------------------------------------------------------------


def test_a_key_has_the_permissions_of_its_line():
    text = f'{OTHER.public_key.to_openssh_line()}\nrestrict,pty,command="x" {LINE}\n'
    assert answer(text, claim()) == attrs.evolve(RESTRICTED, terminal=True, force_command="x")
    assert answer(text, claim(key=OTHER)) == Permissions()
    assert reason(text, claim(key=AUTHORITY)) == "no line has this key"
    assert reason("", claim()) == "no line has this key"


def test_the_first_line_that_lets_it_in_counts():
    text = f'from="10.0.0.0/8" {LINE}\nexpiry-time="20200101" {LINE}\nrestrict {LINE}\n{LINE}\n'
    assert answer(text, claim()) == RESTRICTED
    assert answer(text, claim(address="10.1.1.1")) == Permissions()


def test_from_and_expiry_time_refuse():
    assert reason(f'from="10.0.0.0/8" {LINE}', claim()) == f"line 1: it does not count for a client from {ADDRESS} (from)"
    assert reason(f'from="*" {LINE}', claim(address="")) == "line 1: it does not count for a client from an unknown address (from)"
    line = f'expiry-time="20300102Z" {LINE}'
    assert answer(line, claim(now=1893542400)) == Permissions()
    assert reason(line, claim(now=1893542400.5)) == "line 1: it has expired (expiry-time)"


def test_a_line_that_is_skipped_lets_nobody_in():
    assert reason(f"restrictt {LINE}", claim()) == "no line has this key"


def test_an_authority_lets_nobody_in_by_its_own_key():
    assert reason(f"cert-authority {LINE}", claim()) == "no line has this key"


# --- certificates ------------------------------------------------------------------------------------------------------------------------


def test_a_certificate_needs_its_authority_marked_as_one():
    shown = certificate("ada")
    assert answer(f"cert-authority {CA_LINE}", claim(shown)) == Permissions()
    nobody = "no line has this certificate's authority"
    assert reason(CA_LINE, claim(shown)) == nobody
    assert reason(LINE, claim(shown)) == nobody
    assert reason(f"cert-authority {LINE}", claim(shown)) == nobody


def test_without_principals_it_must_be_for_the_username():
    line = f"cert-authority {CA_LINE}"
    assert answer(line, claim(certificate("x", "ada"))) == Permissions()
    assert "is not for this login but for 'x'" in reason(line, claim(certificate("x")))
    assert "nobody" in reason(line, claim(certificate()))


def test_b14_principals_are_items_of_a_list():
    line = f'cert-authority,principals="ops,admins" {CA_LINE}'
    assert answer(line, claim(certificate("admins"))) == Permissions()
    for principals in (("ada",), ("ops,admins",), ("ops*",), ("OPS",), (" ops",), ("op", "s"), ("*",), ()):
        assert isinstance(answer(line, claim(certificate(*principals))), Refusal), principals
    assert "not for this login" in reason(f'cert-authority,principals="" {CA_LINE}', claim(certificate("ada"), username="ada"))
    assert "not for this login" in reason(f'cert-authority,principals="*" {CA_LINE}', claim(certificate("ada")))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"valid_before": int(NOW)}, "has expired"),
        ({"valid_after": int(NOW) + 1}, "is not valid yet"),
        ({"kind": CertificateKind.HOST}, "not a user certificate"),
        ({"critical_options": {"source-address": "10.0.0.0/8"}}, f"not for a client from {ADDRESS}"),
        ({"critical_options": {"source-address": ""}}, "not for a client"),
        ({"critical_options": {"unheard-of": ""}}, "'unheard-of', a critical option that is not supported"),
    ],
)
def test_b14_a_certificate_that_does_not_hold(changes, why):
    assert why in reason(f"cert-authority {CA_LINE}", claim(certificate("ada", **changes)))


def test_from_and_expiry_time_of_the_authoritys_line():
    shown = certificate("ada")
    assert answer(f'cert-authority,from="192.0.2.0/24" {CA_LINE}', claim(shown)) == Permissions()
    assert "(from)" in reason(f'cert-authority,from="10.0.0.0/8" {CA_LINE}', claim(shown))
    assert "(expiry-time)" in reason(f'cert-authority,expiry-time="20200101" {CA_LINE}', claim(shown))


def test_b06_the_limits_of_line_and_certificate_hold_together():
    plain = {"permit-pty": b"", "permit-user-rc": b""}
    line = f'cert-authority,no-user-rc,permitopen="a:1",environment="A=b" {CA_LINE}'
    shown = certificate("ada", extensions=plain, critical_options={"force-command": "x", "verify-required": b""})
    assert answer(line, claim(shown)) == attrs.evolve(
        RESTRICTED, terminal=True, force_command="x", verify_required=True, permit_open=("a:1",), environ=(("A", "b"),)
    )


def test_b06_forced_commands_must_agree():
    shown = certificate("ada", critical_options={"force-command": "x"})
    same = answer(f'cert-authority,command="x" {CA_LINE}', claim(shown))
    assert isinstance(same, Permissions)
    assert same.force_command == "x"
    assert "different" in reason(f'cert-authority,command="y" {CA_LINE}', claim(shown))


def test_b15_no_touch_needs_the_word_of_both():
    without = certificate("ada", extensions={**PERMIT_ALL, "no-touch-required": b""})
    for options, shown, required in [
        ("cert-authority,no-touch-required", without, False),
        ("cert-authority", without, True),
        ("cert-authority,no-touch-required", certificate("ada"), True),
    ]:
        found = answer(f"{options} {CA_LINE}", claim(shown))
        assert isinstance(found, Permissions)
        assert found.touch_required is required


def test_the_next_line_of_the_same_authority_has_its_chance():
    text = f'cert-authority,principals="ops" {CA_LINE}\ncert-authority,restrict,principals="dev" {CA_LINE}'
    assert answer(text, claim(certificate("dev"))) == RESTRICTED
    assert reason(text, claim(certificate("x"))).startswith("line 2: ")


# --- properties --------------------------------------------------------------------------------------------------------------------------

flags = st.sampled_from(
    ["restrict", "pty", "no-pty", "no-user-rc", "port-forwarding", 'command="c"', 'permitopen="a:1"', "no-touch-required"]
)


@given(
    st.sets(flags, max_size=4),
    st.sets(st.sampled_from([*PERMIT_ALL, "no-touch-required"])),
    st.booleans(),
    st.booleans(),
)
def test_b06_a_certificate_never_has_more_than_its_line_or_itself(options, extensions, forced, verified):
    critical = {**({"force-command": "c"} if forced else {}), **({"verify-required": b""} if verified else {})}
    shown = certificate("ada", extensions=dict.fromkeys(extensions, b""), critical_options=critical)
    line = ",".join(["cert-authority", *sorted(options)])
    entries = parse_authorized_keys(f"{line} {CA_LINE}", "ak").entries
    found = permissions_for(entries, claim(shown))
    assert isinstance(found, Permissions)
    for limits in (entries[0].options.permissions, shown.permissions()):
        assert found == found.narrowed_by(limits), "it is within both already"
