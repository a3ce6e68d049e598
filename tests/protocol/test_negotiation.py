"""From two KEXINITs to algorithms: both ends always choose the same; hardening SM-034 to SM-053 as far as the negotiation decides them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.ends import changed
from tests.strategies import name_lists
from trio_ssh.crypto.suites import is_aead, supported_ciphers, supported_kex, supported_macs
from trio_ssh.errors import DecodeError, KeyExchangeError, NegotiationError, SSHError
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.negotiation import MARKERS, Algorithms, guess_is_wrong, negotiate, read_kexinit
from trio_ssh.protocol.negotiator import Negotiator
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.transport import KexInit

C, S = Role.CLIENT, Role.SERVER
COOKIE = bytes(range(16))
AES, CHACHA, CTR = "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"


def kexinit(role: Role = C, algorithms: Algorithms | None = None, *, first: bool = True, **fields: Any) -> KexInit:
    """A KEXINIT as one of us sends it, with some fields of one's own."""
    message: KexInit = changed((algorithms or Algorithms()).kexinit(role, COOKIE, first=first), **fields)
    return message


def both_choose(client: KexInit, server: KexInit, **flags):
    """What client and server each make of the same two messages: the same, in all that both can know."""
    by_client = negotiate(C, client, server, None, Algorithms(**flags))
    by_server = negotiate(S, server, client, None, Algorithms(**flags))
    same = {"strict_kex": False, "ext_info": False}
    assert changed(by_client, **same) == changed(by_server, **same)
    return by_client


def choose(client: Algorithms, server: Algorithms):
    return both_choose(kexinit(C, client), kexinit(S, server))


def receive(kexinit_of_peer: KexInit, role: Role = S, algorithms: Algorithms | None = None):
    return Negotiator(role, algorithms or Algorithms(), Limits()).receive(encode(kexinit_of_peer))


def subsets(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), unique=True, min_size=1).map(tuple)


offers = st.builds(Algorithms, kex=subsets(supported_kex()), ciphers=subsets(supported_ciphers()), macs=subsets(supported_macs()))


def first_common(client: tuple[str, ...], server: tuple[str, ...]) -> str | None:
    return next((name for name in client if name in server), None)


@given(offers, offers)
def test_the_first_of_the_clients_list_that_the_server_has(client, server):
    kex, cipher = first_common(client.kex_for(C), server.kex_for(S)), first_common(client.ciphers, server.ciphers)
    mac = first_common(client.macs, server.macs) if cipher and not is_aead(cipher) else ""
    if kex is None or cipher is None or mac is None:
        for role in Role:
            ours, theirs = (kexinit(C, client), kexinit(S, server))[:: 1 if role is C else -1]
            with pytest.raises(NegotiationError) as refusal:
                negotiate(role, ours, theirs, None, Algorithms())
            mine, yours = (client, server)[:: 1 if role is C else -1]
            fields = {"key exchange method": "kex", "cipher": "ciphers", "MAC": "macs"}
            field = fields[refusal.value.kind]
            assert set(getattr(mine, field)) <= set(refusal.value.ours)
            assert set(getattr(yours, field)) <= set(refusal.value.theirs)
        return
    chosen = choose(client, server)
    assert (chosen.kex, chosen.cipher_client_to_server, chosen.cipher_server_to_client) == (kex, cipher, cipher)
    assert (chosen.mac_client_to_server, chosen.mac_server_to_client) == (mac, mac)


def test_each_direction_has_a_choice_of_its_own():
    client = kexinit(
        C,
        encryption_algorithms_client_to_server=(CTR, AES),
        encryption_algorithms_server_to_client=(AES, CTR),
        mac_algorithms_client_to_server=("hmac-sha2-512",),
        mac_algorithms_server_to_client=("nothing",),
    )
    chosen = both_choose(client, kexinit(S))
    assert (chosen.cipher_client_to_server, chosen.mac_client_to_server) == (CTR, "hmac-sha2-512")
    assert (chosen.cipher_server_to_client, chosen.mac_server_to_client) == (AES, "")


@pytest.mark.parametrize("role", list(Role))
def test_our_kexinit(role):
    algorithms = Algorithms()
    first = decode(KexInit, Negotiator(role, algorithms, Limits()).our_kexinit(COOKIE, first=True))
    assert first == algorithms.kexinit(role, COOKIE, first=True)
    assert first.cookie == COOKIE
    letter = "c" if role is C else "s"
    assert first.kex_algorithms == (*algorithms.kex_for(role), f"ext-info-{letter}", f"kex-strict-{letter}-v00@openssh.com")
    rekey = decode(KexInit, Negotiator(role, algorithms, Limits()).our_kexinit(COOKIE, first=False))
    assert rekey.kex_algorithms == algorithms.kex_for(role)
    assert rekey == changed(first, kex_algorithms=algorithms.kex_for(role))
    assert (first.first_kex_packet_follows, first.reserved) == (False, 0)


def test_cookies_are_not_mixed_up_by_what_is_remembered():
    one, other = (Negotiator(role, Algorithms(), Limits()) for role in (C, S))
    payloads = [end.our_kexinit(bytes([n]) * 16, first=n == 1) for n in (1, 2, 3) for end in (one, other)]
    for payload, n in zip(payloads, (1, 1, 2, 2, 3, 3), strict=True):
        assert payload[1:17] == bytes([n]) * 16
        assert read_kexinit(payload, Limits()).cookie == bytes([n]) * 16
        assert encode(read_kexinit(payload, Limits())) == payload


BROKEN = [
    {"kex": ()},
    {"host_keys": ()},
    {"ciphers": ()},
    {"compression": ()},
    {"kex": ("unheard-of",)},
    {"macs": ("none",)},
    {"compression": ("lzma",)},
    {"signatures": ()},
    {"signatures": ("ssh-dss",)},
]


@pytest.mark.parametrize("lists", BROKEN, ids=str)
def test_lists_that_cannot_work_are_refused_when_they_are_made(lists):
    """Not when a peer has chosen from them: KeyError, or compressed packets that nobody inflates."""
    with pytest.raises((ValueError, SSHError)):
        Algorithms(**lists)


# Reading -------------------------------------------------------------------------------------------------------------------------------


def test_sm_037_cut_at_every_byte():
    payload = encode(kexinit())
    for end in range(len(payload)):
        with pytest.raises(DecodeError) as refusal:
            read_kexinit(payload[:end], Limits())
        assert refusal.value.reason == 2


def test_sm_038_trailing_bytes():
    for more in (b"\0", b"\0\0\0\0", bytes(5000)):
        with pytest.raises(DecodeError):
            read_kexinit(encode(kexinit()) + more, Limits())


def test_sm_039_reserved_is_not_looked_at():
    receive(kexinit(reserved=2**32 - 1))


@pytest.mark.parametrize("byte", [1, 2, 255])
def test_sm_040_first_kex_packet_follows_is_any_byte_but_zero(byte):
    payload = encode(kexinit())
    assert payload[-5:] == bytes(5)
    assert read_kexinit(payload[:-5] + bytes([byte]) + payload[-4:], Limits()).first_kex_packet_follows is True


@pytest.mark.parametrize("content", [b"a\0b", b"\xc3\xa4", b"a" * 65, b"a,,b", b",a", b"a,,", b" a"])
def test_sm_041_sm_042_names_that_are_none(content):
    """In every list of the message."""
    plain = kexinit()
    for number in range(10):
        payload = bytearray(b"\x14" + COOKIE)
        for place in range(10):
            raw = content if place == number else b"x"
            payload += struct.pack(">I", len(raw)) + raw
        with pytest.raises(DecodeError) as refusal:
            read_kexinit(bytes(payload) + bytes(5), Limits())
        assert refusal.value.reason == 2
    assert read_kexinit(encode(plain), Limits()) == plain


def test_sm_043_duplicate_names():
    names = Algorithms().kex_for(C)
    assert receive(kexinit(kex_algorithms=(names[1], names[1], names[0], names[1]))).negotiated.kex == names[1]


def test_sm_042_names_as_long_as_the_limit_says():
    payload = encode(kexinit(kex_algorithms=("12345678", "1234")))
    assert read_kexinit(payload, Limits()).kex_algorithms == ("12345678", "1234")
    with pytest.raises(DecodeError, match="more than 7 bytes") as refusal:
        read_kexinit(payload, Limits(kexinit_name_bytes=7))
    assert refusal.value.reason == 2


def numbered(count: int, size: int) -> tuple[str, ...]:
    """`count` names of `size` characters."""
    return tuple(f"{n:0{size}}" for n in range(count))


def test_sm_044_too_many_names_or_bytes():
    limits = Limits(packet_bytes_preauth=2**20)
    for most in (numbered(1024, 5), (*numbered(252, 64), "x")):
        assert read_kexinit(encode(kexinit(languages_client_to_server=most)), limits).languages_client_to_server == most
    for too_many in (numbered(1025, 5), numbered(253, 64), ("a",) * 1025):
        for field in ("kex_algorithms", "languages_server_to_client", "mac_algorithms_client_to_server"):
            with pytest.raises(DecodeError) as refusal:
                read_kexinit(encode(changed(kexinit(), **{field: too_many})), limits)
            assert refusal.value.reason == 2


def test_sm_044_the_limits_are_met_when_small():
    small = Limits(kexinit_names=3, kexinit_list_bytes=10)
    two = ("a", "b")
    little = KexInit(COOKIE, two, two, two, two, two, two, two, two)
    fit: list[tuple[str, ...]] = [("a", "b", "c"), ("a" * 10,), ("a" * 4, "b" * 5)]
    too_large: list[tuple[str, ...]] = [("a", "b", "c", "d"), ("a" * 11,), ("a" * 5, "b" * 5)]
    for names in fit:
        read_kexinit(encode(changed(little, kex_algorithms=names)), small)
    for names in too_large:
        with pytest.raises(DecodeError):
            read_kexinit(encode(changed(little, kex_algorithms=names)), small)


# Choosing ------------------------------------------------------------------------------------------------------------------------------

KINDS = {
    "kex_algorithms": "key exchange method",
    "server_host_key_algorithms": "host key algorithm",
    "encryption_algorithms_client_to_server": "cipher",
    "encryption_algorithms_server_to_client": "cipher",
    "compression_algorithms_client_to_server": "compression",
    "compression_algorithms_server_to_client": "compression",
}


@pytest.mark.parametrize(
    "names", [(), ("unheard-of@example",), ("ext-info-c",), ("kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com")]
)
def test_sm_045_sm_047_nothing_in_common(names):
    for field, kind in KINDS.items():
        for role in Role:
            with pytest.raises(NegotiationError) as refusal:
                receive(kexinit(role.peer, **{field: names}), role)
            assert refusal.value.kind == kind
            assert refusal.value.theirs == tuple(name for name in names if name not in MARKERS)  # they are no algorithms


def test_sm_045_no_common_mac():
    for direction in ("client_to_server", "server_to_client"):
        theirs = changed(kexinit(), **{f"encryption_algorithms_{direction}": (CTR,), f"mac_algorithms_{direction}": ("unheard-of",)})
        with pytest.raises(NegotiationError) as refusal:
            receive(theirs)
        assert refusal.value.kind == "MAC"


def test_sm_046_no_common_mac_but_an_aead_cipher():
    nothing = {"mac_algorithms_client_to_server": (), "mac_algorithms_server_to_client": ("unheard-of",)}
    for cipher in (AES, CHACHA):
        both = {f"encryption_algorithms_{direction}": (cipher,) for direction in ("client_to_server", "server_to_client")}
        chosen = receive(changed(kexinit(), **nothing, **both)).negotiated
        assert (chosen.cipher_client_to_server, chosen.mac_client_to_server, chosen.mac_server_to_client) == (cipher, "", "")


def test_sm_047_markers_are_never_selected():
    """Even when both sides put the same ones first."""
    markers = tuple(sorted(MARKERS))
    mine, theirs = (kexinit(role, kex_algorithms=(*markers, "curve25519-sha256", *markers)) for role in (C, S))
    assert both_choose(mine, theirs).kex == "curve25519-sha256"
    with pytest.raises(NegotiationError):
        both_choose(changed(mine, kex_algorithms=markers), changed(theirs, kex_algorithms=markers))


@pytest.mark.parametrize("role", list(Role))
def test_sm_048_markers_of_the_wrong_role_are_ignored(role):
    wrong = tuple(
        name for name in MARKERS if name.startswith(("ext-info-c", "kex-strict-c") if role.peer is S else ("ext-info-s", "kex-strict-s"))
    )
    assert len(wrong) == 2
    chosen = receive(kexinit(role.peer, kex_algorithms=(*Algorithms().kex_for(C), *wrong)), role).negotiated
    assert (chosen.strict_kex, chosen.ext_info) == (False, False)
    right = receive(kexinit(role.peer), role).negotiated
    assert (right.strict_kex, right.ext_info) == (True, True)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("at_first", [True, False])
def test_sm_049_sm_071_a_rekey_keeps_the_markers_and_the_rules(role, at_first):
    negotiator = Negotiator(role, Algorithms(), Limits())
    first = negotiator.receive(encode(kexinit(role.peer, first=at_first))).negotiated
    assert (first.strict_kex, first.ext_info) == (at_first, at_first)
    for markers_now in (True, False):
        again = negotiator.receive(
            encode(kexinit(role.peer, first=markers_now, compression_algorithms_client_to_server=("none",)))
        ).negotiated
        assert (again.strict_kex, again.ext_info) == (at_first, at_first)
        assert negotiator.current == again
    with pytest.raises(NegotiationError):
        negotiator.receive(encode(kexinit(role.peer, first=False, encryption_algorithms_client_to_server=("3des-cbc",))))


def test_sm_050_languages_are_not_looked_at():
    receive(kexinit(languages_client_to_server=("de", "en"), languages_server_to_client=("tlh",)))


@pytest.mark.parametrize("role", list(Role))
def test_pol_01_strict_kex_may_be_demanded(role):
    demanding = Algorithms(require_strict_kex=True)
    assert receive(kexinit(role.peer), role, demanding).negotiated.strict_kex
    wrong = {C: "kex-strict-c-v00@openssh.com", S: "kex-strict-s-v00@openssh.com"}[role]
    for markers in ((), (wrong,), ("ext-info-c", "ext-info-s")):
        theirs = kexinit(role.peer, kex_algorithms=(*Algorithms().kex_for(C), *markers))
        assert not receive(theirs, role).negotiated.strict_kex
        with pytest.raises(KeyExchangeError) as refusal:
            receive(theirs, role, demanding)
        assert refusal.value.reason == 3


# Guesses -------------------------------------------------------------------------------------------------------------------------------

OURS = kexinit(S)
GUESSES = [
    # follows, kex, host keys -> is the next packet to be skipped?
    (False, OURS.kex_algorithms, OURS.server_host_key_algorithms, False),
    (False, OURS.kex_algorithms[1:], OURS.server_host_key_algorithms, False),
    (True, OURS.kex_algorithms, OURS.server_host_key_algorithms, False),
    (True, OURS.kex_algorithms[:1], OURS.server_host_key_algorithms[:1], False),
    (True, OURS.kex_algorithms[1:], OURS.server_host_key_algorithms, True),
    (True, OURS.kex_algorithms, OURS.server_host_key_algorithms[1:], True),
    (True, ("unheard-of", *OURS.kex_algorithms), OURS.server_host_key_algorithms, True),
    (True, ("ext-info-c", *OURS.kex_algorithms), OURS.server_host_key_algorithms, False),
]


@pytest.mark.parametrize(("follows", "kex", "host_keys", "wrong"), GUESSES)
def test_sm_051_sm_052_sm_053_which_guesses_are_wrong(follows, kex, host_keys, wrong):
    """RFC 4253 §7: the first kex or the first host key algorithm differs."""
    theirs = kexinit(C, kex_algorithms=kex, server_host_key_algorithms=host_keys, first_kex_packet_follows=follows)
    assert guess_is_wrong(OURS, theirs) is wrong
    assert receive(theirs).guess_is_wrong is wrong


@given(name_lists.filter(bool), name_lists.filter(bool))
def test_any_two_lists(client, server):
    """Names nobody knows negotiate like any others; both sides agree whatever they are."""
    both = {"encryption_algorithms_client_to_server": (AES,), "encryption_algorithms_server_to_client": (AES,)}
    mine, theirs = (changed(kexinit(role), kex_algorithms=names, **both) for role, names in ((C, client), (S, server)))
    expected = first_common(tuple(name for name in client if name not in MARKERS), server)
    if expected is None:
        for role, one, other in ((C, mine, theirs), (S, theirs, mine)):
            with pytest.raises(NegotiationError):
                negotiate(role, one, other, None, Algorithms())
    else:
        assert both_choose(mine, theirs).kex == expected


@given(st.binary(max_size=300))
def test_any_bytes_for_a_kexinit(data):
    with pytest.raises(DecodeError):
        read_kexinit(b"\x14" + data, Limits())
