"""The agent's messages, both ways: what is written is what the documents say, and is read again; what is damaged is a `DecodeError`."""

from __future__ import annotations

import struct

import pytest

from tests.agent.keyring import ALL_TYPES, CERTIFIED_TYPES, PLAIN_TYPES, all_keys, certified, key_of
from tests.agent.samples import ANSWERS, CONSTRAINTS, REQUESTS, mutated
from tests.fuzz.choices import check_text
from trio_ssh import DecodeError, LocalProtocolError
from trio_ssh.agent import (
    AgentIdentity,
    AssociatedCertificates,
    Confirm,
    Destination,
    Hop,
    HostKeySpec,
    Lifetime,
    RestrictDestination,
    SecurityKeyProvider,
)
from trio_ssh.agent import messages as m
from trio_ssh.agent.constraints import CONSTRAINTS_MAX, DESTINATIONS_MAX, read_constraints, write_constraints
from trio_ssh.keys import KEY_TYPES
from trio_ssh.keys.certificates import CertifiedKey
from trio_ssh.wire.codec import encode

ED25519 = "ssh-ed25519"


def string(data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">I", len(data)) + data


def constraint_bytes(*constraints):
    out = bytearray()
    write_constraints(out, constraints)
    return bytes(out)


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: type(message).__name__)
def test_requests_come_back(message):
    assert m.decode_request(m.encode_message(message)) == message
    with pytest.raises(DecodeError):
        m.decode_answer(m.encode_message(message))


@pytest.mark.parametrize("message", ANSWERS, ids=lambda message: type(message).__name__)
def test_answers_come_back(message):
    assert m.decode_answer(m.encode_message(message)) == message
    with pytest.raises(DecodeError):
        m.decode_request(m.encode_message(message))


def test_every_message_is_among_the_samples():
    assert {type(message) for message in REQUESTS} == set(m.REQUESTS)
    assert {type(message) for message in ANSWERS} == set(m.ANSWERS)


@pytest.mark.parametrize("key_type", ALL_TYPES)
def test_keys_of_every_type_come_back(key_type):
    key = all_keys()[key_type]
    sent = m.AddIdentityConstrained(key, "a comment", (Lifetime(60), Confirm()))
    received = m.decode_request(m.encode_message(sent))
    assert received == sent
    assert m.encode_message(received) == m.encode_message(sent), "the secret numbers are the same, too"


@pytest.mark.parametrize("key_type", ALL_TYPES)
def test_no_secret_shows(key_type):
    key = all_keys()[key_type]
    plain = key.key if isinstance(key, CertifiedKey) else key
    shown = repr(m.AddIdentity(key, "a comment"))
    assert str(plain.agent_fields()[-20:])[2:-1] not in shown
    assert "a comment" in shown


# --- against the documents, byte by byte -----------------------------------------------------------------------------------------------


def test_numbers_and_layout():
    key = key_of(ED25519)
    blob, fields = key.public_key.blob, key.agent_fields()
    assert m.encode_message(m.RequestIdentities()) == b"\x0b"
    assert m.encode_message(m.SignRequest(blob, b"data", m.RSA_SHA2_512)) == b"\x0d" + string(blob) + string(b"data") + b"\0\0\0\4"
    assert m.encode_message(m.AddIdentity(key, "c")) == b"\x11" + fields + string("c")
    assert m.encode_message(m.AddIdentityConstrained(key, "c", (Confirm(), Lifetime(5)))) == (
        b"\x19" + fields + string("c") + b"\2" + b"\1\0\0\0\5"
    )
    assert m.encode_message(m.RemoveIdentity(blob)) == b"\x12" + string(blob)
    assert m.encode_message(m.RemoveAllIdentities()) == b"\x13"
    assert m.encode_message(m.Lock(b"pw")) == b"\x16" + string("pw")
    assert m.encode_message(m.Unlock(b"pw")) == b"\x17" + string("pw")
    assert m.encode_message(m.Extension("query")) == b"\x1b" + string("query")
    assert m.encode_message(m.write_identities([AgentIdentity(blob, "c")])) == b"\x0c\0\0\0\1" + string(blob) + string("c")
    assert m.encode_message(m.SignResponse(b"signature")) == b"\x0e" + string("signature")
    assert [m.encode_message(answer) for answer in (m.Failure(), m.Success(), m.ExtensionFailure())] == [b"\5", b"\6", b"\x1c"]
    assert m.encode_message(m.ExtensionResponse("query", b"x")) == b"\x1d" + string("query") + b"x"
    assert encode(m.SessionBind(b"key", b"id", b"signature", True)) == string("key") + string("id") + string("signature") + b"\1"


def test_layout_of_the_constraints():
    assert constraint_bytes(SecurityKeyProvider("internal")) == b"\xff" + string("sk-provider@openssh.com") + string("internal")
    certificates = string(string(b"one") + string(b"two"))
    assert constraint_bytes(AssociatedCertificates((b"one", b"two"), certificates_only=True)) == (
        b"\xff" + string("associated-certs-v00@openssh.com") + b"\1" + certificates
    )
    here = string(string("") + string("") + string(""))
    there = string(string("ada") + string("host") + string("") + string(b"key") + b"\0" + string(b"authority") + b"\1")
    hop = Hop("host", (HostKeySpec(b"key"), HostKeySpec(b"authority", is_authority=True)), "ada")
    assert constraint_bytes(RestrictDestination((Destination(Hop(), hop),))) == (
        b"\xff" + string("restrict-destination-v00@openssh.com") + string(string(here + there + string("")))
    )


@pytest.mark.parametrize("key_type", CERTIFIED_TYPES)
def test_a_certificate_stands_for_the_public_fields(key_type):
    key = certified(key_type)
    request = m.encode_message(m.AddIdentity(key, ""))
    assert request.startswith(b"\x11" + string(key.certificate.algorithm) + string(key.certificate.blob))
    assert m.decode_request(request) == m.AddIdentity(key, "")


# --- E02: what is damaged --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: type(message).__name__)
def test_e02_g2_damaged_requests(message):
    for payload in mutated(m.encode_message(message)):
        try:
            decoded = m.decode_request(payload)
        except DecodeError as error:
            check_text(error)
        else:
            m.encode_message(decoded)


@pytest.mark.parametrize("message", ANSWERS, ids=lambda message: type(message).__name__)
def test_e02_g2_damaged_answers(message):
    for payload in mutated(m.encode_message(message)):
        try:
            answer = m.decode_answer(payload)
            if isinstance(answer, m.IdentitiesAnswer):
                for identity in m.read_identities(answer, 2048):
                    assert identity.algorithm.isprintable()
                    identity.read_key()
        except DecodeError as error:
            check_text(error)


@pytest.mark.parametrize("number", sorted(set(range(256)) - {5, 6, 11, 12, 13, 14, 17, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29}))
def test_e02_unknown_numbers(number):
    for decode in (m.decode_request, m.decode_answer):
        with pytest.raises(DecodeError, match=rf"message {number} is no (request|answer) that is known"):
            decode(bytes([number]) + bytes(8))


def test_e02_nothing_at_all():
    with pytest.raises(DecodeError, match="an empty answer"):
        m.decode_answer(b"")


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_e02_short_ed25519_public_key(size):
    identity = AgentIdentity(string(ED25519) + string(bytes(size)))
    assert identity.algorithm == ED25519
    with pytest.raises(DecodeError, match="an ed25519 public key has 32 bytes"):
        identity.read_key()


@pytest.mark.parametrize(("public", "private"), [(31, 63), (32, 63), (32, 32), (0, 0), (33, 65), (32, 65)])
def test_e02_short_ed25519_private_key(public, private):
    fields = string(ED25519) + string(bytes(public)) + string(bytes(private))
    with pytest.raises(DecodeError):
        m.decode_request(b"\x11" + fields + string("comment"))


def test_e02_a_private_key_with_the_public_key_of_another():
    mine, other = key_of(ED25519).agent_fields(), key_of("ssh-ed448").agent_fields()
    swapped = mine[: -64 - 4 - 32] + bytes(32) + mine[-64 - 4 :]
    for fields in (swapped, other[:40] + mine[40:]):
        with pytest.raises(DecodeError):
            m.decode_request(b"\x11" + fields + string("comment"))


def test_e02_a_certificate_of_another_key():
    one, other = certified(ED25519), key_of("ecdsa-sha2-nistp256")
    wrong = other.certified_agent_fields(certified("ecdsa-sha2-nistp384").certificate.algorithm, one.certificate.blob)
    with pytest.raises(DecodeError, match="stands where one of ecdsa-sha2-nistp384-cert"):
        m.decode_request(b"\x11" + wrong + string("comment"))
    stranger = type(other).generate()
    fields = stranger.certified_agent_fields(one.certificate.algorithm, one.certificate.blob)
    with pytest.raises(DecodeError, match="not its own"):
        m.decode_request(b"\x11" + fields + string("comment"))


def test_e02_an_identity_of_an_unknown_type_is_only_shown():
    identity = AgentIdentity(string("ssh-\x1b[2J") + bytes(4), "comment")
    assert identity.algorithm == "ssh-\\x1b[2J"
    with pytest.raises(DecodeError, match="is not supported"):
        identity.read_key()
    assert AgentIdentity(b"\xff\xff\xff\xff").algorithm == ""


# --- E02, E03: constraints -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: type(constraint).__name__)
def test_e03_constraints_come_back(constraint):
    data = constraint_bytes(constraint)
    assert read_constraints(data, 0) == ((constraint,), len(data))
    with pytest.raises(DecodeError, match="comes twice"):
        read_constraints(data + data, 0)


def test_e03_all_constraints_together_come_back():
    data = constraint_bytes(*CONSTRAINTS)
    assert read_constraints(data, 0) == (CONSTRAINTS, len(data))


@pytest.mark.parametrize("unknown", [b"\0", b"\3\0\0\0\1", b"\xfe", b"\xff" + string("new@example.com"), b"\xff" + string("")])
@pytest.mark.parametrize("before", [(), (Lifetime(1),), (Lifetime(1), Confirm())], ids=len)
def test_e02_e03_an_unknown_constraint_fails_the_whole_request(before, unknown):
    request = b"\x19" + key_of(ED25519).agent_fields() + string("comment") + constraint_bytes(*before) + unknown
    with pytest.raises(DecodeError, match="is not known"):
        m.decode_request(request)


def test_e03_a_restriction_to_nowhere_is_none():
    with pytest.raises(LocalProtocolError, match="no use"):
        constraint_bytes(RestrictDestination(()))
    with pytest.raises(DecodeError, match="no destination"):
        read_constraints(b"\xff" + string("restrict-destination-v00@openssh.com") + string(""), 0)


def test_e03_reserved_fields_of_a_destination_must_be_empty():
    name = b"\xff" + string("restrict-destination-v00@openssh.com")
    hop, other = string(string("") * 3), string(string("") + string("") + string("x"))
    for destination in (hop + hop + string("x"), other + hop + string(""), hop + other + string("")):
        with pytest.raises(DecodeError, match="an extension that is not known"):
            read_constraints(name + string(string(destination)), 0)
    assert read_constraints(name + string(string(hop + hop + string(""))), 0)


def test_e02_constraints_are_bounded():
    data = b"\xff" + string("associated-certs-v00@openssh.com") + b"\0"
    most = data + string(string("x") * DESTINATIONS_MAX)
    assert read_constraints(most, 0)[0] == (AssociatedCertificates((b"x",) * DESTINATIONS_MAX),)
    with pytest.raises(DecodeError, match=f"more than {DESTINATIONS_MAX} entries"):
        read_constraints(data + string(string("x") * (DESTINATIONS_MAX + 1)), 0)
    assert len(CONSTRAINTS) < CONSTRAINTS_MAX


@pytest.mark.parametrize("constraint", [Lifetime(-1), Lifetime(2**32)])
def test_a_value_that_the_wire_cannot_hold(constraint):
    with pytest.raises(LocalProtocolError, match="uint32"):
        m.encode_message(m.AddIdentityConstrained(key_of(ED25519), "", (constraint,)))


# --- E01: libraries --------------------------------------------------------------------------------------------------------------------


def test_e01_requests_that_load_libraries_are_known_to_be_refused():
    assert {m.AddSmartcardKey, m.RemoveSmartcardKey, m.AddSmartcardKeyConstrained} == set(m.LOADS_LIBRARIES)
    read = m.decode_request(b"\x1a" + string("/usr/lib/evil.so") + string("1234") + b"\2")
    assert isinstance(read, m.LOADS_LIBRARIES)


def test_query_names():
    assert m.read_names(m.write_names(["query", "x@example.com"])) == ("query", "x@example.com")
    with pytest.raises(LocalProtocolError):
        m.write_names(["ü"])
    with pytest.raises(DecodeError):
        m.read_names(string("query")[:-1])


def test_plain_types_are_all_there_are():
    assert set(KEY_TYPES) <= set(PLAIN_TYPES)
