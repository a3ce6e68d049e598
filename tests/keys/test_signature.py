"""Signatures: only the right one passes, in exactly one form, and other libraries agree."""

from __future__ import annotations

import hashlib

import asyncssh
import paramiko
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.keys.software_keys import sk_blob
from trio_ssh.errors import LocalProtocolError
from trio_ssh.keys import (
    DEFAULT_HOST_KEY_ALGORITHMS,
    DEFAULT_USER_KEY_ALGORITHMS,
    KEY_TYPES,
    PrivateKey,
    PublicKey,
    supported_signature_algorithms,
)
from trio_ssh.keys.blobs import CURVES
from trio_ssh.keys.security_keys import SK_ECDSA, SK_ED25519
from trio_ssh.keys.signature import decode_signature, encode_signature
from trio_ssh.wire.primitives import read_mpint, read_name, write_mpint, write_string

DATA = b"what is signed"
DECLARED = (*DEFAULT_USER_KEY_ALGORITHMS, "ssh-rsa", "ssh-dss", "")
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
ED448_ORDER = 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885


def raw_of(signature: bytes, algorithm: str) -> bytes:
    return decode_signature(algorithm, signature)


def mpints(r: int, s: int) -> bytes:
    out = bytearray()
    write_mpint(out, r)
    write_mpint(out, s)
    return bytes(out)


def every_signature(keys, software_keys) -> list[tuple[str, str, bytes]]:
    """(who signed, how, signature blob) of every key by each of its algorithms, and a SHA-1 one that only an enemy would make."""
    made = [(name, a, key.sign(a, DATA)) for name, key in keys.items() for a in key.public_key.signature_algorithms]
    made += [(name, a, key.sign(a, DATA)) for name, key in software_keys.items() for a in key.public_key.signature_algorithms]
    sha1 = keys["rsa"]._maths.sign(DATA, padding.PKCS1v15(), hashes.SHA1())
    return [*made, ("rsa", "ssh-rsa", encode_signature("ssh-rsa", sha1))]


def relabelled(blob: bytes, label: str) -> bytes:
    out = bytearray()
    write_string(out, label.encode())
    return bytes(out) + blob[read_name(blob, 0)[1] :]


def test_b13_confusion_matrix(keys, software_keys):
    """Declared algorithm x key x (signature's name x signature's bytes): nothing passes but what all four agree on."""
    publics = {name: key.public_key for name, key in (keys | software_keys).items()}
    signatures = every_signature(keys, software_keys)
    assert {public.algorithm for public in publics.values()} == set(KEY_TYPES)
    assert len(publics) == 8
    passed = set()
    for declared in DECLARED:
        for name, public in publics.items():
            for signer, made_by, blob in signatures:
                for label in DECLARED:
                    if public.verify(declared, relabelled(blob, label), DATA):
                        passed.add((declared, name, label, signer, made_by))
    expected = {(a, name, a, name, a) for name, public in publics.items() for a in public.signature_algorithms}
    assert passed == expected
    assert {a for a, *_ in expected} == set(DEFAULT_USER_KEY_ALGORITHMS)
    assert len(expected) == 10


def test_other_data_or_another_key_is_no(any_key):
    key = any_key
    algorithm = key.public_key.signature_algorithms[0]
    signature = key.sign(algorithm, DATA)
    assert key.public_key.verify(algorithm, signature, DATA)
    assert not key.public_key.verify(algorithm, signature, DATA + b"!")
    kind = {"ssh-ed25519": "ed25519", "ssh-ed448": "ed448", "ssh-rsa": "rsa"}.get(key.public_key.algorithm, "ecdsa")
    other = PrivateKey.generate(kind, key.public_key.bits)
    assert not other.public_key.verify(algorithm, signature, DATA)


def test_the_envelope_is_exact(any_key):
    key = any_key
    algorithm = key.public_key.signature_algorithms[0]
    signature = key.sign(algorithm, DATA)
    out = bytearray()
    write_string(out, algorithm.encode() + b"\0")
    write_string(out, raw_of(signature, algorithm))
    for bad in (signature + b"\0", signature[:-1], b"", bytes(out), encode_signature(algorithm, b""), signature[4:]):
        assert not key.public_key.verify(algorithm, bad, DATA)


@pytest.mark.parametrize("name", ["nistp256", "nistp384", "nistp521"])
def test_e10_ecdsa_numbers_must_be_in_range_and_in_shortest_form(keys, name):
    key = keys[name]
    algorithm = key.public_key.algorithm
    order = CURVES[algorithm].maths.group_order
    raw = raw_of(key.sign(algorithm, DATA), algorithm)
    r, offset = read_mpint(raw, 0)
    s, _ = read_mpint(raw, offset)
    for bad in [(r + order, s), (r, s + order), (r, -s), (-r, s), (0, s), (r, 0), (r, order), (order, s), (r - order, s), (0, 0)]:
        assert not key.public_key.verify(algorithm, encode_signature(algorithm, mpints(*bad)), DATA)
    padded = bytearray()
    write_string(padded, b"\0\0" + r.to_bytes(66, "big").lstrip(b"\0"))
    write_mpint(padded, s)
    for form in (bytes(padded), raw + b"\0", mpints(r, s) + mpints(r, s), key._maths.sign(DATA, _ecdsa(algorithm))):
        assert not key.public_key.verify(algorithm, encode_signature(algorithm, form), DATA)
    assert key.public_key.verify(algorithm, encode_signature(algorithm, mpints(r, s)), DATA)


def _ecdsa(algorithm):
    return ec.ECDSA(CURVES[algorithm].hash)


def test_e10_ed25519_s_must_be_below_the_order(keys):
    key = keys["ed25519"]
    raw = raw_of(key.sign("ssh-ed25519", DATA), "ssh-ed25519")
    s = int.from_bytes(raw[32:], "little")
    malleated = raw[:32] + (s + ED25519_ORDER).to_bytes(32, "little")
    for bad in (malleated, raw[:32] + bytes(32), raw + b"\0", raw[:-1], raw[:63] + bytes([raw[63] | 0xE0]), bytes(64)):
        assert not key.public_key.verify("ssh-ed25519", encode_signature("ssh-ed25519", bad), DATA)


def test_e10_ed448_s_must_be_below_the_order(keys):
    key = keys["ed448"]
    raw = raw_of(key.sign("ssh-ed448", DATA), "ssh-ed448")
    s = int.from_bytes(raw[57:], "little")
    malleated = raw[:57] + (s + ED448_ORDER).to_bytes(57, "little")
    assert key.public_key.verify("ssh-ed448", encode_signature("ssh-ed448", raw), DATA)
    for bad in (malleated, raw[:57] + bytes(57), raw + b"\0", raw[:-1], raw[:-1] + b"\x80", bytes(114), b""):
        assert not key.public_key.verify("ssh-ed448", encode_signature("ssh-ed448", bad), DATA)


def test_e10_security_keys_signatures_are_as_strict(software_keys):
    """The bare signature in the blob: S below the order, r and s in range and shortest form, nothing behind them, no DER."""
    key = software_keys[SK_ED25519]
    raw = key.sign_raw(1, 7, b"", DATA)
    s = int.from_bytes(raw[32:], "little")
    assert key.public_key.verify(SK_ED25519, sk_blob(SK_ED25519, raw, 1, 7), DATA)
    for bad in (raw[:32] + (s + ED25519_ORDER).to_bytes(32, "little"), raw + b"\0", raw[:-1], bytes(64), b""):
        assert not key.public_key.verify(SK_ED25519, sk_blob(SK_ED25519, bad, 1, 7), DATA)
    key = software_keys[SK_ECDSA]
    raw = key.sign_raw(1, 7, b"", DATA)
    order = CURVES["ecdsa-sha2-nistp256"].maths.group_order
    r, offset = read_mpint(raw, 0)
    s, _ = read_mpint(raw, offset)
    assert key.public_key.verify(SK_ECDSA, sk_blob(SK_ECDSA, raw, 1, 7), DATA)
    forms = [mpints(*pair) for pair in [(r + order, s), (r, s + order), (r, -s), (0, s), (r, 0), (order, s), (0, 0)]]
    for bad in (*forms, raw + b"\0", raw[:-1], raw + raw, encode_dss_signature(r, s), b""):
        assert not key.public_key.verify(SK_ECDSA, sk_blob(SK_ECDSA, bad, 1, 7), DATA)


def test_e10_signature_bytes_are_no_identity(keys):
    """An ECDSA signature has a twin, (r, n - s), that holds as well: nothing may be told apart by the bytes of signatures."""
    key = keys["nistp256"]
    algorithm = key.public_key.algorithm
    made = key.sign(algorithm, DATA)
    r, offset = read_mpint(raw_of(made, algorithm), 0)
    s, _ = read_mpint(raw_of(made, algorithm), offset)
    twin = encode_signature(algorithm, mpints(r, CURVES[algorithm].maths.group_order - s))
    assert twin != made
    assert key.public_key.verify(algorithm, twin, DATA)
    assert PublicKey.from_blob(key.public_key.blob) == key.public_key  # what tells people apart is the key


def test_rsa_signature_has_the_length_of_the_modulus_and_is_below_it(keys):
    key = keys["rsa"]
    n = key._maths.public_key().public_numbers().n
    for algorithm in key.public_key.signature_algorithms:
        raw = raw_of(key.sign(algorithm, DATA), algorithm)
        value = int.from_bytes(raw, "big")
        forms = [b"\0" + raw, raw + b"\0", raw[1:], bytes(256), b"\xff" * 256, (n - value).to_bytes(256, "big")]
        if value + n < 1 << 2048:
            forms.append((value + n).to_bytes(256, "big"))
        for bad in forms:
            assert not key.public_key.verify(algorithm, encode_signature(algorithm, bad), DATA)


def test_b13_a_sha_1_signature_passes_only_where_it_is_asked_for_by_name(keys):
    key = keys["rsa"]
    made = key.sign("ssh-rsa", DATA)
    assert raw_of(made, "ssh-rsa") == key._maths.sign(DATA, padding.PKCS1v15(), hashes.SHA1())
    public = key.public_key
    assert public.verify("ssh-rsa", made, DATA, legacy=True)
    assert not public.verify("ssh-rsa", made, DATA)
    assert not public.verify("ssh-rsa", made, DATA + b"!", legacy=True)
    for algorithm in public.signature_algorithms:
        assert not public.verify(algorithm, made, DATA, legacy=True)
        assert not public.verify("ssh-rsa", key.sign(algorithm, DATA), DATA, legacy=True)
        assert not public.verify("ssh-rsa", encode_signature("ssh-rsa", raw_of(key.sign(algorithm, DATA), algorithm)), DATA, legacy=True)
    for name, other in keys.items():
        if name != "rsa":
            assert not other.public_key.verify("ssh-rsa", made, DATA, legacy=True)
            with pytest.raises(LocalProtocolError, match="cannot sign by 'ssh-rsa'"):
                other.sign("ssh-rsa", DATA)


def test_b13_sha_1_is_supported_and_proposed_nowhere(keys):
    assert "ssh-rsa" in supported_signature_algorithms()
    assert "ssh-rsa" not in DEFAULT_HOST_KEY_ALGORITHMS
    assert "ssh-rsa" not in DEFAULT_USER_KEY_ALGORITHMS
    assert set(supported_signature_algorithms()) == {*DEFAULT_USER_KEY_ALGORITHMS, "ssh-rsa"}
    for key in keys.values():
        assert "ssh-rsa" not in key.public_key.signature_algorithms
        assert ("ssh-rsa" in key.public_key.all_signature_algorithms) is (key.public_key.algorithm == "ssh-rsa")
        assert key.public_key.all_signature_algorithms[: len(key.public_key.signature_algorithms)] == key.public_key.signature_algorithms


def test_a25_ecdsa_nonces_are_not_biased(keys):
    key, algorithm = keys["nistp521"], "ecdsa-sha2-nistp521"
    order, d = CURVES[algorithm].maths.group_order, key._maths.private_numbers().private_value
    nonces, firsts = [], []
    for number in range(256):
        data = b"message %d" % number
        raw = raw_of(key.sign(algorithm, data), algorithm)
        r, offset = read_mpint(raw, 0)
        s, _ = read_mpint(raw, offset)
        digest = int.from_bytes(hashlib.sha512(data).digest(), "big")  # 512 bits: it fits the order whole (FIPS 186-5 §6.4.1)
        nonces.append(pow(s, -1, order) * (digest + r * d) % order)
        firsts.append(r)
    # r is the x coordinate of k times the base point: so these are the nonces indeed.
    assert ec.derive_private_key(nonces[0], ec.SECP521R1()).public_key().public_numbers().x % order == firsts[0]
    assert len(set(nonces)) == 256
    assert len({nonce >> (521 - 16) for nonce in nonces}) > 128
    assert sum(nonce.bit_length() <= 521 - 9 for nonce in nonces) < 16  # one in 512 by chance; all of them where 512 bits are taken for 521


@pytest.fixture(scope="module")
def signatures(keys, software_keys):
    signers = [*keys.values(), *software_keys.values()]
    return [(key.public_key, a, key.sign(a, DATA)) for key in signers for a in key.public_key.signature_algorithms]


@given(st.integers(0, 9), st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_signature_is_no_and_raises_nothing(signatures, which, position, flip):
    public, algorithm, signature = signatures[which]
    damaged = bytearray(signature)
    damaged[position % len(damaged)] ^= flip
    assert not public.verify(algorithm, bytes(damaged), DATA)


@given(st.binary(max_size=200))
def test_any_bytes_as_signature_are_no(keys, software_keys, raw):
    for key in (*keys.values(), *software_keys.values()):
        for algorithm in key.public_key.signature_algorithms:
            assert not key.public_key.verify(algorithm, raw, DATA)
            assert not key.public_key.verify(algorithm, encode_signature(algorithm, raw), DATA)


class FaultyEd25519(ed25519.Ed25519PrivateKey):
    """A signer whose every signature has one bit wrong, as a fault in the machine would make it."""

    def __init__(self, sound):
        self._sound = sound

    def sign(self, data):
        signature = bytearray(self._sound.sign(data))
        signature[40] ^= 1
        return bytes(signature)

    def public_key(self):
        return self._sound.public_key()

    def private_bytes(self, encoding, format, encryption_algorithm):
        raise NotImplementedError

    def private_bytes_raw(self):
        raise NotImplementedError

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def test_a24_a_faulty_signature_never_leaves(keys):
    sound = keys["ed25519"]
    faulty = PrivateKey(sound.public_key, "", FaultyEd25519(sound._maths))
    with pytest.raises(LocalProtocolError, match="is faulty; it was not sent"):
        faulty.sign("ssh-ed25519", DATA)


def test_asyncssh_agrees_both_ways(any_key):
    key = any_key
    theirs = asyncssh.import_private_key(key.to_openssh())
    for algorithm in key.public_key.signature_algorithms:
        name = algorithm.encode()
        assert asyncssh.import_public_key(key.public_key.to_openssh_line()).verify(DATA, key.sign(algorithm, DATA))
        assert key.public_key.verify(algorithm, theirs.sign(DATA, name), DATA)
    assert theirs.public_data == key.public_key.blob


def test_paramiko_agrees_both_ways(key, tmp_path):
    path = tmp_path / "key"
    key.write_file(path)
    theirs = paramiko.PKey.from_path(path)
    for algorithm in key.public_key.signature_algorithms:
        made = theirs.sign_ssh_data(DATA, algorithm).asbytes()
        assert key.public_key.verify(algorithm, made, DATA)
        assert type(theirs)(data=key.public_key.blob).verify_ssh_sig(DATA, paramiko.Message(key.sign(algorithm, DATA)))
    assert theirs.asbytes() == key.public_key.blob
