"""known_hosts: who may vouch for a host by a certificate, and which key types a host is asked for."""

from __future__ import annotations

import pytest

from trio_ssh.keys import Known, KnownHosts, PrivateKey, Revoked, Unknown
from trio_ssh.keys.certificates import CERTIFICATE_KEY_TYPES
from trio_ssh.keys.known_hosts import hash_name


@pytest.fixture(scope="module")
def host_key(keys):
    return keys["nistp256"].public_key


@pytest.fixture(scope="module")
def authority(keys):
    return keys["ed25519"].public_key


@pytest.fixture(scope="module")
def other():
    return PrivateKey.generate().public_key


def known(*lines: str) -> KnownHosts:
    result = KnownHosts.from_bytes("".join(f"{line}\n" for line in lines).encode(), "kh")
    assert not result.skipped
    return result


def test_an_authority_vouches_for_the_hosts_of_its_line(host_key, authority, other):
    files = known("# ours", f"@cert-authority *.example,!bad.example {authority.to_openssh_line()}")
    assert files.lookup_authority("a.example", 22, host_key, authority) == Known("kh", 2)
    assert files.lookup_authority("A.EXAMPLE", 22, host_key, authority) == Known("kh", 2)
    assert files.lookup_authority("bad.example", 22, host_key, authority) is None
    assert files.lookup_authority("elsewhere", 22, host_key, authority) is None
    assert files.lookup_authority("a.example", 22, host_key, other) is None


def test_an_authority_by_port_and_by_bare_name(host_key, authority):
    by_port = known(f"@cert-authority [h]:2222 {authority.to_openssh_line()}")
    assert by_port.lookup_authority("h", 2222, host_key, authority) == Known("kh", 1)
    assert by_port.lookup_authority("h", 22, host_key, authority) is None
    by_name = known(f"@cert-authority {hash_name('h')} {authority.to_openssh_line()}")
    assert by_name.lookup_authority("h", 2222, host_key, authority) == Known("kh", 1)


def test_a_plain_line_makes_no_authority(host_key, authority):
    files = known(f"h {authority.to_openssh_line()}")
    assert files.lookup_authority("h", 22, host_key, authority) is None


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("what", ["the authority", "the key"])
def test_b14_e04_revoked_wins_over_an_authority(host_key, authority, what, order):
    bad = authority if what == "the authority" else host_key
    lines = [f"@cert-authority h {authority.to_openssh_line()}", f"@revoked * {bad.to_openssh_line()}"][::order]
    files = known(*lines)
    assert files.lookup_authority("h", 22, host_key, authority) == Revoked("kh", 2 if order == 1 else 1)
    assert files.lookup_authority("h", 2222, host_key, authority) == Revoked("kh", 2 if order == 1 else 1)


def test_b14_a_revoked_authority_without_any_line_that_names_it(host_key, authority):
    files = known(f"@revoked * {authority.to_openssh_line()}")
    assert files.lookup_authority("h", 22, host_key, authority) == Revoked("kh", 1)
    assert files.lookup("h", 22, host_key) == Unknown()


def test_pain_21_pain_23_certificates_are_asked_for_where_an_authority_may_vouch(host_key, authority):
    certified = tuple(CERTIFICATE_KEY_TYPES)
    files = known(f"@cert-authority *.example {authority.to_openssh_line()}", f"a.example {host_key.to_openssh_line()}")
    assert files.key_types("a.example") == (*certified, "ecdsa-sha2-nistp256")
    assert files.key_types("a.example", 2222) == (*certified, "ecdsa-sha2-nistp256")
    assert files.key_types("b.example") == certified
    assert files.key_types("elsewhere") == ()
    assert known(f"a.example {host_key.to_openssh_line()}").key_types("a.example") == ("ecdsa-sha2-nistp256",)


def test_a_revoked_authority_and_one_that_we_cannot_check_are_none(authority):
    revoked = known(f"@cert-authority h {authority.to_openssh_line()}", f"@revoked h {authority.to_openssh_line()}")
    assert revoked.key_types("h") == ()
    assert known("@cert-authority h ssh-dss AAAAB3NzaC1kc3M=").key_types("h") == ()


def test_the_names_of_a_key(host_key, authority):
    files = known(f"a,b {host_key.to_openssh_line()}", f"@revoked c {host_key.to_openssh_line()}", f"d {authority.to_openssh_line()}")
    assert [entry.hosts for entry in files.entries_of(host_key)] == ["a,b"]
