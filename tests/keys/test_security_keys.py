"""Keys in FIDO authenticators: signatures, what their flags say, browsers' signatures, and the handles in private key files."""

from __future__ import annotations

import base64
import hashlib

import asyncssh
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keys.software_keys import HANDLE, ORIGIN, RESIDENT, UP, UV, SoftwareKey, client_data_for, sk_blob
from trio_ssh.errors import DecodeError, LocalProtocolError
from trio_ssh.keys import PrivateKey, PublicKey, SecurityKeyNeeded, SecurityKeyUse, security_key_use
from trio_ssh.keys.security_keys import (
    SECURITY_KEY_ALGORITHMS,
    SECURITY_KEY_TYPES,
    SK_ECDSA,
    SK_ED25519,
    WEBAUTHN_SK_ECDSA,
    SecurityPrivateKey,
    decode_security_signature,
)
from trio_ssh.wire.primitives import read_name, read_string, write_string

DATA = b"what is signed"


def signer_of(software_keys: dict[str, SoftwareKey], algorithm: str) -> SoftwareKey:
    return software_keys[SK_ED25519 if algorithm == SK_ED25519 else SK_ECDSA]


@pytest.mark.parametrize("flags", [0x00, 0x01, 0x04, 0x05])
@pytest.mark.parametrize("algorithm", SECURITY_KEY_ALGORITHMS)
def test_b15_what_the_flags_say(software_keys, algorithm, flags):
    """The maths holds whatever the flags are; what happened is told, for the policy to judge."""
    key = signer_of(software_keys, algorithm)
    blob = key.sign(algorithm, DATA, flags=flags, counter=2**32 - 1)
    assert key.public_key.verify(algorithm, blob, DATA)
    assert security_key_use(blob) == SecurityKeyUse(touched=bool(flags & 1), verified=bool(flags & 4), counter=2**32 - 1)


@pytest.mark.parametrize("algorithm", SECURITY_KEY_ALGORITHMS)
def test_b15_flags_and_counter_are_covered_by_the_signature(software_keys, algorithm):
    """Nobody can set the bit of a touch afterwards, nor turn the counter."""
    key = signer_of(software_keys, algorithm)
    blob = key.sign(algorithm, DATA, flags=0, counter=7)
    _, offset = read_name(blob, 0)
    _, flags_at = read_string(blob, offset)
    for position in range(flags_at, flags_at + 5):
        for bit in range(8):
            changed = bytearray(blob)
            changed[position] ^= 1 << bit
            assert not key.public_key.verify(algorithm, bytes(changed), DATA)


@pytest.mark.parametrize("algorithm", SECURITY_KEY_ALGORITHMS)
def test_b15_the_application_is_part_of_the_key(software_keys, algorithm):
    """The same authenticator key under another application is another key, and its signature is no other's."""
    key = signer_of(software_keys, algorithm)
    other = attrs.evolve(key, application="ssh:other")
    assert other.public_key != key.public_key
    for signer, public in ((key, other.public_key), (other, key.public_key)):
        assert signer.public_key.verify(algorithm, signer.sign(algorithm, DATA), DATA)
        assert not public.verify(algorithm, signer.sign(algorithm, DATA), DATA)


def test_only_security_keys_say_anything_of_their_use(keys):
    for key in keys.values():
        for algorithm in key.public_key.signature_algorithms:
            assert security_key_use(key.sign(algorithm, DATA)) is None
    for bad in (b"", b"\0\0\0\5abc", sk_blob(SK_ED25519, b"", 1, 7)[:-1], sk_blob(SK_ED25519, b"", 1, 7) + b"\0"):
        with pytest.raises(DecodeError):
            security_key_use(bad)


@pytest.mark.parametrize("algorithm", SECURITY_KEY_ALGORITHMS)
def test_b15_the_envelope_is_exact(software_keys, algorithm):
    key = signer_of(software_keys, algorithm)
    blob = key.sign(algorithm, DATA)
    for end in range(len(blob)):
        assert not key.public_key.verify(algorithm, blob[:end], DATA)
    assert not key.public_key.verify(algorithm, blob + b"\0", DATA)
    assert not key.public_key.verify(algorithm, blob, DATA + b"!")


@pytest.fixture
def ecdsa(software_keys) -> SoftwareKey:
    return software_keys[SK_ECDSA]


CHALLENGE = base64.urlsafe_b64encode(DATA).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "client_data",
    [
        client_data_for(DATA),
        client_data_for(DATA, rest=',"crossOrigin":true}'),
        client_data_for(DATA, rest="}"),
        client_data_for(DATA, rest=',"crossOrigin":false,"other_keys_can_be_added_here":"x"}'),
    ],
)
def test_b15_what_browsers_sign_passes(ecdsa, client_data):
    assert ecdsa.public_key.verify(WEBAUTHN_SK_ECDSA, ecdsa.sign_web(DATA, client_data), DATA)


@pytest.mark.parametrize(
    "client_data",
    [
        b"",
        b"{}",
        DATA,
        client_data_for(b"something else"),
        client_data_for(DATA, origin="https://evil.example"),
        client_data_for(DATA).replace(b"webauthn.get", b"webauthn.create"),
        b" " + client_data_for(DATA),
        client_data_for(DATA).replace(b'{"type"', b'{"crossOrigin":false,"type"'),
        client_data_for(DATA).replace(b'":"', b'": "'),
        client_data_for(DATA).replace(CHALLENGE.encode(), CHALLENGE.encode() + b"="),
        client_data_for(DATA).replace(CHALLENGE.encode(), base64.b64encode(hashlib.sha256(DATA).digest())),
        client_data_for(DATA).replace(ORIGIN.encode(), ORIGIN.encode() + b".evil.example"),
        client_data_for(DATA)[:-1],
        client_data_for(DATA) + b"\n",
        client_data_for(DATA, rest="!}"),
        f'{{"challenge":"{CHALLENGE}","type":"webauthn.get","origin":"{ORIGIN}"}}'.encode(),
        f'{{"type":"webauthn.get","origin":"{ORIGIN}","challenge":"{CHALLENGE}"}}'.encode(),
    ],
)
def test_b15_client_data_is_compared_byte_for_byte(ecdsa, client_data):
    """The maths is right in each of these; type, challenge and origin do not stand where they must."""
    assert not ecdsa.public_key.verify(WEBAUTHN_SK_ECDSA, ecdsa.sign_web(DATA, client_data), DATA)


def test_b15_a_challenge_of_any_length_has_no_padding(ecdsa):
    for length in range(8):
        data = b"\xfb\xff" * length  # "-" and "_" of the base64 alphabet for URLs
        assert ecdsa.public_key.verify(WEBAUTHN_SK_ECDSA, ecdsa.sign(WEBAUTHN_SK_ECDSA, data), data)


@pytest.mark.parametrize("origin", ['https://a","challenge":"x', "https://a\\", "https://a\n", "\0"])
def test_b15_an_origin_that_could_break_out_of_its_field(ecdsa, origin):
    blob = ecdsa.sign_web(DATA, client_data_for(DATA, origin), origin=origin)
    assert not ecdsa.public_key.verify(WEBAUTHN_SK_ECDSA, blob, DATA)


def test_b15_extensions_stand_there_if_the_flags_say_so(ecdsa):
    client_data = client_data_for(DATA)
    for flags, extensions, good in [
        (UP, b"", True),
        (UP | 0x80, b"\xa0", True),
        (UP | 0x80, b"", False),
        (UP, b"\xa0", False),
        (UP | 0x40, b"", False),
        (UP | 0xC0, b"\xa0", False),
    ]:
        blob = ecdsa.sign_web(DATA, client_data, flags=flags, extensions=extensions)
        assert ecdsa.public_key.verify(WEBAUTHN_SK_ECDSA, blob, DATA) is good


def test_b15_origin_that_is_not_utf_8(ecdsa):
    blob = sk_blob(WEBAUTHN_SK_ECDSA, b"", 1, 7, b"\xff", b"", b"")
    assert not ecdsa.public_key.verify(WEBAUTHN_SK_ECDSA, blob, DATA)


@given(st.binary(max_size=120), st.sampled_from(SECURITY_KEY_ALGORITHMS))
def test_any_bytes_are_a_signature_or_a_decode_error(rest, algorithm):
    out = bytearray()
    write_string(out, algorithm.encode())
    try:
        signature = decode_security_signature(algorithm, bytes(out) + rest)
    except DecodeError:
        return
    assert signature.use.counter == signature.counter


# What other programs say


@pytest.mark.parametrize("algorithm", SECURITY_KEY_ALGORITHMS)
def test_asyncssh_verifies_what_the_software_key_signs(software_keys, algorithm):
    """So that these tests do not only agree with themselves. (It takes the application for a browser's origin.)"""
    key = attrs.evolve(signer_of(software_keys, algorithm), application=ORIGIN)
    blob = key.sign(algorithm, DATA)
    assert key.public_key.verify(algorithm, blob, DATA)
    theirs = asyncssh.import_public_key(key.public_key.to_openssh_line())
    assert theirs.public_data == key.public_key.blob
    assert theirs.verify(DATA, blob)
    assert not theirs.verify(DATA + b"!", blob)


@pytest.mark.parametrize("algorithm", SECURITY_KEY_ALGORITHMS)
@pytest.mark.parametrize("flags", [UP, UP | UV])
def test_ssh_keygen_verifies_what_we_do(run, tmp_path, software_keys, algorithm, flags):
    """An SSHSIG file (PROTOCOL.sshsig) around the signature."""
    key = signer_of(software_keys, algorithm)
    covered = b"SSHSIG" + fields(b"file", b"", b"sha512", hashlib.sha512(DATA).digest())
    blob = key.sign(algorithm, covered, flags=flags)
    assert key.public_key.verify(algorithm, blob, covered)
    armoured = base64.encodebytes(b"SSHSIG\0\0\0\1" + fields(key.public_key.blob, b"file", b"", b"sha512", blob)).decode()
    (tmp_path / "sig").write_text(f"-----BEGIN SSH SIGNATURE-----\n{armoured}-----END SSH SIGNATURE-----\n")
    said = run("ssh-keygen", "-Y", "check-novalidate", "-n", "file", "-s", "sig", stdin=DATA.decode())
    assert said.startswith('Good "file" signature with ')
    assert key.public_key.fingerprint() in said


def fields(*strings: bytes) -> bytes:
    out = bytearray()
    for string in strings:
        write_string(out, string)
    return bytes(out)


# Private key files


@pytest.mark.parametrize("flags", [0, UP, UP | UV, UP | RESIDENT, UP | UV | RESIDENT])
@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
@pytest.mark.parametrize("passphrase", [None, "secret"])
def test_pain_25_flags_and_handle_survive_every_way(run, tmp_path, key_type, flags, passphrase):
    """Through our file, through ssh-keygen's, and into what an agent is given."""
    key = SoftwareKey.generate(key_type, "ssh:work", flags).private_key()
    path = tmp_path / "key"
    key.write_file(path, passphrase, rounds=1)
    read = PrivateKey.from_file(path, passphrase)
    run("ssh-keygen", "-q", "-p", "-P", passphrase or "", "-N", "other", "-a", 1, "-f", path)
    again = PrivateKey.from_file(path, "other")
    for found in (read, again):
        assert (found, found.comment) == (key, "a security key")
        assert found.security_key is not None
        assert found.security_key.public.application == "ssh:work"
        assert (found.security_key.flags, found.security_key.handle, found.security_key.reserved) == (flags, HANDLE, b"")
    assert key.agent_fields() == key.public_key.blob + bytes([flags]) + fields(HANDLE, b"")
    assert key.certified_agent_fields("type", b"certificate").endswith(fields(b"ssh:work") + bytes([flags]) + fields(HANDLE, b""))


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
def test_a_handle_cannot_sign_and_says_who_can(software_keys, key_type):
    key = software_keys[key_type].private_key()
    for algorithm in key.public_key.signature_algorithms:
        with pytest.raises(SecurityKeyNeeded, match="is in a security key, which is asked through an agent: add it there with ssh-add"):
            key.sign(algorithm, DATA)
    with pytest.raises(LocalProtocolError, match="cannot sign by 'ssh-ed25519'"):
        key.sign("ssh-ed25519", DATA)
    assert HANDLE.decode() not in repr(key) + repr(key.security_key)


def test_other_keys_are_no_handles(keys):
    for key in keys.values():
        assert key.security_key is None


@pytest.mark.parametrize("key_type", SECURITY_KEY_TYPES)
def test_ssh_keygen_and_asyncssh_read_the_handle(run, tmp_path, software_keys, key_type):
    key = software_keys[key_type].private_key()
    key.write_file(tmp_path / "key")
    assert run("ssh-keygen", "-y", "-f", tmp_path / "key").rstrip("\n") == key.public_key.to_openssh_line(key.comment)
    theirs = asyncssh.import_private_key(key.to_openssh())
    assert theirs.public_data == key.public_key.blob
    assert PrivateKey.from_bytes(theirs.export_private_key()) == key


def test_public_fields_of_a_handle_must_be_those_of_the_public_key(software_keys):
    key, other = software_keys[SK_ED25519].private_key(), SoftwareKey.generate(SK_ED25519).private_key()
    assert isinstance(other.security_key, SecurityPrivateKey)
    body = base64.b64decode("".join(key.to_openssh().decode().splitlines()[1:-1]))
    ours, theirs = key.public_key.blob[-40:-8], other.public_key.blob[-40:-8]
    assert body.count(ours) == 2
    for mixed in (body.replace(ours, theirs, 1), body[::-1].replace(ours[::-1], theirs[::-1], 1)[::-1]):
        text = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(mixed).decode()}\n-----END OPENSSH PRIVATE KEY-----\n"
        with pytest.raises(Exception, match="do not belong together"):
            PrivateKey.from_bytes(text.encode())
    assert PublicKey.from_blob(key.public_key.blob) == key.public_key
