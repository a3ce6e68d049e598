"""What the authentication machines refuse: hardening SM-079, SM-083 to SM-086 and SM-089 to SM-109 as far as the machines decide them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.test_auth import KEYS, RSA_KEY, SESSION_ID, Pair, pair, signed_request
from tests.strategies import utf8_texts
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.auth_attempt import AuthAttempt
from trio_ssh.protocol.auth_client import Awaits, Refused
from trio_ssh.protocol.auth_server import Hopeless, ServerAuthentication
from trio_ssh.protocol.limits import Limits
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import ExtInfo, ServiceAccept, ServiceRequest, write_extensions
from trio_ssh.wire.userauth import (
    KeyboardInteractiveFields,
    PasswordFields,
    PublicKeyFields,
    UserauthBanner,
    UserauthFailure,
    UserauthInfoResponse,
    UserauthPkOk,
    UserauthRequest,
    UserauthSuccess,
    string_field,
    write_responses,
)

KEY = KEYS["ssh-ed25519"]
BLOB = KEY.public_key.blob


def request(method: str, fields: bytes = b"", user: str = "ada", service: str = "ssh-connection") -> bytes:
    return encode(UserauthRequest(user, service, method, fields))


def question(algorithm: str, blob: bytes) -> bytes:
    return request("publickey", encode(PublicKeyFields(False, algorithm, blob)))


def ends_with(reason: int, act, *args) -> None:
    """The connection ends, with this DISCONNECT."""
    with pytest.raises(RemoteProtocolError) as refusal:
        act(*args)
    assert refusal.value.reason == reason


def outcome(act, payload: bytes) -> int | type | None:
    """The reason why the connection ends, or the kind of event."""
    try:
        return type(act(payload))
    except RemoteProtocolError as error:
        return error.reason


def is_refused(ends: Pair, payload: bytes) -> Hopeless:
    """FAILURE with the list of methods is the answer, whatever a policy would say."""
    event = ends.ask(payload)
    assert isinstance(event, Hopeless), event
    ends.client.awaits = Awaits.ANSWER
    assert ends.answer(ends.server.refuse(counts=event.counts)) == Refused(("publickey", "password"), False)
    return event


# Services and extensions -----------------------------------------------------------------------------------------------------------------


def test_sm_078_sm_079_services_that_are_none():
    for name in ("ssh-connection", "unheard-of@example", "", "ssh-userauth ", "ssh-userauth\0"):
        ends_with(7, pair(started=False).ask, encode(ServiceRequest(name)))
    ends_with(2, pair(started=False).ask, b"\x05\0\0\0\x02\xc3\x28")


def test_sm_083_a_service_accept_that_was_not_asked_for():
    for name in ("ssh-connection", "", "ssh-userauth2"):
        ends = pair(started=False)
        ends.client.request_service()
        ends_with(2, ends.answer, encode(ServiceAccept(name)))
    ends_with(2, pair(started=False).answer, encode(ServiceAccept("ssh-userauth")))


def test_sm_084_a_request_before_the_service():
    for payload in (request("none"), request("password", encode(PasswordFields(False, b"x")))):
        ends = pair(started=False)
        ends_with(2, ends.ask, payload)
        assert ends.server.username is None


def test_sm_085_ext_info_out_of_place():
    payload = encode(ExtInfo(write_extensions({})))
    ends = pair(started=False)
    ends.ask(payload)
    ends_with(2, ends.ask, payload)
    ends_with(2, pair().ask, payload)


def test_sm_086_ext_info_that_lies():
    for count in (65, 1024):
        wire = encode(ExtInfo(write_extensions({f"name-{n}": b"" for n in range(count)})))
        for receive in (pair(started=False).ask, pair(started=False).answer):
            ends_with(2, receive, wire)
    for wire in (b"\x07\0\0\0\1", b"\x07\0\0\0\0\0", b"\x07\xff\xff\xff\xff", b"\x07"):
        for receive in (pair(started=False).ask, pair(started=False).answer):
            ends_with(2, receive, wire)


def test_sm_086_nul_in_a_value_that_is_known():
    ends_with(2, pair(started=False).answer, encode(ExtInfo(write_extensions({"server-sig-algs": b"ssh-ed25519\0,rsa-sha2-256"}))))


# Requests to the server ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["gssapi-with-mic", "hostbased", "keyboard-interactive", "x" * 1000, "", "None", "password "])
def test_sm_089_b11_unknown_methods(method):
    event = is_refused(pair(), request(method, encode(KeyboardInteractiveFields("", ""))))
    assert event.counts


def test_sm_089_methods_that_are_not_offered():
    ends = pair("publickey")
    assert isinstance(ends.ask(ends.client.request_password("x")), Hopeless)
    ends = pair("password")
    assert isinstance(ends.ask(signed_request(ends.client, KEY, "ssh-ed25519")), Hopeless)


def test_sm_090_another_service_behind_authentication():
    for service in ("ssh-userauth", "", "unheard-of"):
        ends_with(7, pair().ask, request("none", service=service))


def test_sm_091_b03_the_user_or_the_service_changes():
    for user, service in (("bob", "ssh-connection"), ("Ada", "ssh-connection"), ("", "ssh-connection"), ("ada", "other")):
        ends = pair()
        is_refused(ends, request("none"))
        with pytest.raises(RemoteProtocolError) as refusal:
            ends.ask(request("password", encode(PasswordFields(False, b"secret")), user, service))
        assert refusal.value.reason in ((2,) if service == "ssh-connection" else (2, 7))


REQUESTS = [
    request("none"),
    request("password", encode(PasswordFields(False, b"secret"))),
    request("password", encode(PasswordFields(True, b"old", string_field(b"new")))),
    question("ssh-ed25519", BLOB),
    request("publickey", encode(PublicKeyFields(True, "ssh-ed25519", BLOB, string_field(KEY.sign("ssh-ed25519", b"x"))))),
]


@pytest.mark.parametrize("payload", REQUESTS, ids=["none", "password", "change", "question", "signed"])
def test_sm_092_sm_094_cut_at_every_byte_and_trailing_bytes(payload):
    """Never an attempt, never another exception; nothing is looked up."""
    for end in range(1, len(payload)):
        server = ServerAuthentication(SESSION_ID, ("publickey", "password"))
        with pytest.raises(RemoteProtocolError) as refusal:
            server.receive(payload[:end])
        assert refusal.value.reason == 2
    for more in (b"\0", b"\0\0\0\0", b"x" * 50):
        with pytest.raises(RemoteProtocolError) as refusal:
            ServerAuthentication(SESSION_ID, ("publickey", "password")).receive(payload + more)
        assert refusal.value.reason == 2


def test_sm_092_inner_lengths_that_lie():
    for payload in REQUESTS:
        for start in range(1, len(payload) - 3):
            for length in (2**31, 2**32 - 1):
                wire = payload[:start] + struct.pack(">I", length) + payload[start + 4 :]
                try:
                    event = ServerAuthentication(SESSION_ID, ("publickey", "password")).receive(wire)
                except RemoteProtocolError:
                    continue
                assert isinstance(event, (AuthAttempt, Hopeless))


def test_sm_093_user_names():
    for user in ("x" * 257, "ä" * 129, "tab\t", "\x1b[31m", "line\n", "\u202ertl", "\x7f", "\u200b"):
        ends = pair(username=user)
        event = ends.ask(ends.client.request_password("secret"))
        assert isinstance(event, Hopeless), user
    for user in ("nul\0", "\0"):
        ends = pair(username=user)
        ends_with(2, ends.ask, ends.client.request_password("secret"))
    for user in ("", "x" * 256, "ä" * 128, "Ada Lovelace", "ada@example"):
        ends = pair(username=user)
        assert isinstance(ends.ask(ends.client.request_password("secret")), AuthAttempt)


def test_sm_093_a_user_name_that_is_not_utf_8():
    """D(15), or FAILURE."""
    payload = b"\x32\0\0\0\x02\xc3\x28\0\0\0\x0essh-connection\0\0\0\x08password\0\0\0\0\x06secret"
    assert outcome(pair().ask, payload) in (15, Hopeless)


@pytest.mark.parametrize(
    ("algorithm", "blob"),
    [
        ("ssh-ed25519", b""),
        ("ssh-ed25519", b"junk"),
        ("ssh-ed25519", BLOB[:-1]),
        ("ssh-ed25519", BLOB + b"\0"),
        ("ssh-ed25519", KEYS["ecdsa-sha2-nistp256"].public_key.blob),
        ("ssh-ed25519", RSA_KEY.public_key.blob),
        ("ecdsa-sha2-nistp384", KEYS["ecdsa-sha2-nistp256"].public_key.blob),
        ("rsa-sha2-512", BLOB),
        ("ssh-rsa", RSA_KEY.public_key.blob),
        ("unheard-of", BLOB),
        ("", BLOB),
        ("ssh-ed25519-cert-v01@openssh.com", BLOB),
    ],
    ids=lambda value: value if isinstance(value, str) else "key",
)
def test_sm_095_b12_b13_keys_that_will_not_do(algorithm, blob):
    """Asked about, and signed for: FAILURE both times."""
    is_refused(pair(), question(algorithm, blob))
    signature = string_field(KEY.sign("ssh-ed25519", b"x"))
    is_refused(pair(), request("publickey", encode(PublicKeyFields(True, algorithm, blob, signature))))


def test_sm_096_signatures_that_are_none():
    good = KEY.sign("ssh-ed25519", b"something else")
    for signature in (b"", b"x", good, good[:-1], good + b"\0", bytes(2**20), RSA_KEY.sign("rsa-sha2-512", b"x")):
        is_refused(pair(), request("publickey", encode(PublicKeyFields(True, "ssh-ed25519", BLOB, string_field(signature)))))
    ends_with(2, pair().ask, request("publickey", encode(PublicKeyFields(True, "ssh-ed25519", BLOB, string_field(good) + b"\0"))))
    ends_with(2, pair().ask, request("publickey", encode(PublicKeyFields(True, "ssh-ed25519", BLOB))))


def test_sm_096_a_question_carries_no_signature():
    fields = encode(PublicKeyFields(False, "ssh-ed25519", BLOB, string_field(b"")))
    ends_with(2, pair().ask, request("publickey", fields))


def test_b13_every_declared_algorithm_key_and_signature():
    """Only the diagonal passes."""
    keys = {**KEYS, "rsa-sha2-256": RSA_KEY, "rsa-sha2-512": RSA_KEY}
    for declared in keys:
        for shown, key in keys.items():
            for signed, signer in keys.items():
                ends = pair()
                text = ends.client.bytes_to_sign(declared, key.public_key.blob)
                payload = ends.client.request_publickey(declared, key.public_key.blob, signer.sign(signed, text))
                event = ends.ask(payload)
                if declared == signed and KEY_OF[declared] == KEY_OF[shown]:
                    assert isinstance(event, AuthAttempt)
                    assert event.proven
                else:
                    assert isinstance(event, Hopeless)


KEY_OF = {"ssh-ed25519": "ed25519", "ecdsa-sha2-nistp256": "ecdsa", "rsa-sha2-256": "rsa", "rsa-sha2-512": "rsa"}


def is_proven(payload: bytes) -> bool:
    event = ServerAuthentication(SESSION_ID, ("publickey", "password")).receive(payload)
    return isinstance(event, AuthAttempt) and event.proven


def test_every_flipped_bit_of_a_signed_request():
    """No change anywhere yields a proven attempt for it."""
    ends = pair()
    payload = signed_request(ends.client, KEY, "ssh-ed25519")
    for bit in range(8, 8 * len(payload), 5):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        kind = outcome(ServerAuthentication(SESSION_ID, ("publickey", "password")).receive, bytes(damaged))
        assert kind in (2, 7, Hopeless) or not is_proven(bytes(damaged))


def test_b10_b23_passwords_that_never_reach_a_policy():
    for password in (b"", b"x" * 1025, b"x" * 200_000, b"\xff\xfe"):
        assert is_refused(pair(), request("password", encode(PasswordFields(False, password)))).counts
    ends = pair(limits=Limits(password_bytes=3))
    assert isinstance(ends.ask(ends.client.request_password("abc")), AuthAttempt)
    assert isinstance(ends.ask(request("password", encode(PasswordFields(False, b"abcd")))), Hopeless)


def test_a_wish_to_change_the_password():
    wish = encode(PasswordFields(True, b"old", string_field(b"new")))
    attempt = pair().server.receive(request("password", wish))
    assert isinstance(attempt, AuthAttempt)
    assert (attempt.password, attempt.new_password) == ("old", "new")
    assert is_refused(pair(), request("password", encode(PasswordFields(True, b"old", string_field(b""))))).counts


# Counters --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 6])
def test_sm_097_the_last_failure_ends_the_connection(most):
    ends = pair(limits=Limits(auth_failures=most))
    for _ in range(most - 1):
        assert isinstance(ends.ask(ends.client.request_password("x")), AuthAttempt)
        ends.answer(ends.server.refuse())
    ends.ask(ends.client.request_password("x"))
    with pytest.raises(RemoteProtocolError) as refusal:
        ends.server.refuse()
    assert refusal.value.reason in (2, 14)
    assert ends.server.failures == most


def test_sm_097_six_by_default():
    assert (Limits().auth_failures, Limits().auth_requests) == (6, 64)


def test_sm_097_sm_098_none_first_is_no_failure_and_later_is_one():
    ends = pair(limits=Limits(auth_failures=2))
    for expected in (0, 1):
        event = ends.ask(ends.client.request_none())
        assert isinstance(event, Hopeless)
        ends.answer(ends.server.refuse(counts=event.counts))
        assert ends.server.failures == expected


def test_sm_097_b07_the_65th_request_of_any_kind():
    server = ServerAuthentication(SESSION_ID, ("publickey", "password"))
    for number in range(64):
        server.receive((question("ssh-ed25519", BLOB), request("none"), request("unheard-of"))[number % 3])
    with pytest.raises(RemoteProtocolError) as refusal:
        server.receive(question("ssh-ed25519", BLOB))
    assert refusal.value.reason == 2


def test_b20_a_client_gives_up_in_the_end():
    """A server that goes on saying "partial success" for ever."""
    ends = pair(limits=Limits(auth_requests=5))
    for _ in range(5):
        ends.client.request_password("x")
        ends.answer(encode(UserauthFailure(("password",), True)))
    with pytest.raises(RemoteProtocolError) as refusal:
        ends.client.request_password("x")
    assert refusal.value.reason == 14


def test_sm_100_sm_102_an_info_response_without_a_question():
    payload = encode(UserauthInfoResponse(write_responses(("x",))))
    ends_with(2, pair().ask, payload)
    ends = pair()
    is_refused(ends, request("keyboard-interactive", encode(KeyboardInteractiveFields("", ""))))
    ends_with(2, ends.ask, payload)
    for number in range(62, 80):
        ends_with(2, pair().ask, bytes([number]) + payload[1:])


def test_sm_103_b01_a_client_that_sends_a_servers_messages():
    for payload in (
        encode(UserauthSuccess()),
        encode(UserauthFailure(("x",), False)),
        encode(UserauthBanner("x")),
        encode(UserauthPkOk("ssh-ed25519", BLOB)),
        encode(ServiceAccept("ssh-userauth")),
    ):
        for started in (True, False):
            ends_with(2, pair(started=started).ask, payload)


@given(st.binary(min_size=1, max_size=80))
def test_any_bytes_to_both_machines(data):
    """Only `RemoteProtocolError` and its kin come out, whatever the number."""
    for number in (5, 6, 7, 50, 51, 52, 53, 60, 61, data[0]):
        ends = pair()
        ends.client.ask_about_key("ssh-ed25519", BLOB)
        for receive in (ends.server.receive, ends.client.receive):
            try:
                receive(bytes([number]) + data[1:])
            except RemoteProtocolError:
                continue


@given(utf8_texts.filter(lambda text: "\0" not in text), st.binary(max_size=60))
def test_any_method_fields(user, fields):
    """Refused, or a password; nothing that looks proven comes out of random bytes."""
    for method in ("none", "password", "publickey", "keyboard-interactive"):
        server = ServerAuthentication(SESSION_ID, ("publickey", "password"))
        assert outcome(server.receive, request(method, fields, user)) in (2, Hopeless, AuthAttempt if method == "password" else Hopeless)
