"""Keys of a user's own type: they do all that other keys do."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import attrs
import pytest

from tests.crypto import own
from trio_ssh import algorithms
from trio_ssh.errors import DecodeError, KeyFileError, LocalProtocolError
from trio_ssh.keys import KnownHosts, PrivateKey, PublicKey, WrongPassphrase, parse_authorized_keys, prefer_key_types
from trio_ssh.keys.own_types import OwnPrivateKey
from trio_ssh.keys.signature import decode_signature, encode_signature, supported_signature_algorithms

NAME = "ed448@example.com"
DATA = b"what is signed"


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with own.tables_put_back():
        algorithms.register_key_type(own.ED448)
        yield


@pytest.fixture
def key() -> PrivateKey:
    return PrivateKey.generate(NAME, comment="a comment")


def test_what_it_shows(key):
    public = key.public_key
    assert (public.algorithm, public.bits, key.comment) == (NAME, 456, "a comment")
    assert public.signature_algorithms == public.all_signature_algorithms == (NAME,)
    assert PublicKey.from_blob(public.blob) == public
    assert PublicKey.from_openssh_line(public.to_openssh_line("x")) == public
    assert NAME in supported_signature_algorithms()
    assert prefer_key_types(["ssh-ed25519", NAME], [NAME]) == (NAME, "ssh-ed25519")
    assert str(key._maths.private) not in repr(key) + repr(key._maths)
    with pytest.raises(ValueError, match="there is no key of kind"):
        PrivateKey.generate(NAME, 456)


def test_signatures(key):
    public = key.public_key
    signature = key.sign(NAME, DATA)
    assert public.verify(NAME, signature, DATA)
    assert not public.verify(NAME, signature, DATA + b"!")
    assert not PrivateKey.generate(NAME).public_key.verify(NAME, signature, DATA)
    assert not public.verify("ssh-ed25519", signature, DATA)
    raw = decode_signature(NAME, signature)
    for bad in (b"", raw[:-1], raw + b"\0", bytes(114)):
        assert not public.verify(NAME, encode_signature(NAME, bad), DATA)
    for position in range(0, len(signature), 7):
        damaged = bytearray(signature)
        damaged[position] ^= 1
        assert not public.verify(NAME, bytes(damaged), DATA)
    with pytest.raises(LocalProtocolError, match="cannot sign by 'ssh-ed25519'"):
        key.sign("ssh-ed25519", DATA)


@pytest.mark.parametrize("raised", [ValueError("no"), DecodeError("no")])
def test_a_verification_that_raises_what_it_may_is_a_no(key, raised):
    def verify(public: bytes, algorithm: str, signature: bytes, data: bytes) -> bool:
        raise raised

    with own.tables_put_back():
        recipe = attrs.evolve(own.ED448, name="raising@example.com", algorithms=["raising@example.com"], verify=verify)
        algorithms.register_key_type(recipe)
        faulty = PrivateKey.generate("raising@example.com")
        with pytest.raises(LocalProtocolError, match="is faulty; it was not sent"):
            faulty.sign("raising@example.com", DATA)


def test_b13_bad_blobs_are_refused(key):
    blob = key.public_key.blob
    for bad in (blob[:-1], blob + b"\0", blob[: 4 + len(NAME)], blob[:-58] + blob[-57:]):
        with pytest.raises(DecodeError):
            PublicKey.from_blob(bad)


@pytest.mark.parametrize("passphrase", [None, "secret"])
def test_files(key, tmp_path, passphrase):
    path = tmp_path / "key"
    path.write_bytes(key.to_openssh(passphrase, rounds=1))
    path.chmod(0o600)
    read = PrivateKey.from_file(path, passphrase)
    assert (read, read.comment) == (key, "a comment")
    assert key.public_key.verify(NAME, read.sign(NAME, DATA), DATA)
    if passphrase:
        with pytest.raises(WrongPassphrase):
            PrivateKey.from_file(path, "wrong")


def test_a_file_whose_halves_do_not_belong_together(key):
    other = PrivateKey.generate(NAME)
    body = base64.b64decode("".join(key.to_openssh().decode().splitlines()[1:-1]))
    ours, theirs = key._maths, other._maths
    assert isinstance(ours, OwnPrivateKey)
    assert isinstance(theirs, OwnPrivateKey)
    mixed = body.replace(ours.private, theirs.private)
    armoured = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(mixed).decode()}\n-----END OPENSSH PRIVATE KEY-----\n"
    with pytest.raises(KeyFileError, match="do not belong together"):
        PrivateKey.from_bytes(armoured.encode())


def test_known_hosts_and_authorized_keys(key, tmp_path):
    line = key.public_key.to_openssh_line("somebody")
    parsed = parse_authorized_keys(line, "file")
    assert (parsed.skipped, [entry.key for entry in parsed.entries]) == ((), [key.public_key])
    path = tmp_path / "known_hosts"
    path.write_text(f"build.example {line}\n")
    assert KnownHosts.from_files(path).key_types("build.example") == (NAME,)
