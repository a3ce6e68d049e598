"""Answers a client refuses because nobody asked or because they lie: hardening SM-106 to SM-109, B02, B04, B21."""

from __future__ import annotations

import pytest

from tests.protocol.test_auth import KEYS, pair, signed_request
from tests.protocol.test_auth_refusals import BLOB, KEY, ends_with
from trio_ssh.errors import DecodeError, LocalProtocolError
from trio_ssh.protocol.auth_client import BannerReceived, KeyAccepted, Refused, ServiceAccepted
from trio_ssh.protocol.auth_server import Hopeless, ServiceWanted
from trio_ssh.protocol.limits import Limits
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import ServiceAccept
from trio_ssh.wire.userauth import (
    UserauthBanner,
    UserauthFailure,
    UserauthInfoRequest,
    UserauthPasswdChangereq,
    UserauthPkOk,
    UserauthSuccess,
)


def test_sm_106_sm_107_success_or_failure_before_a_request():
    for payload in (encode(UserauthSuccess()), encode(UserauthFailure(("x",), True))):
        ends_with(2, pair().answer, payload)
        ends_with(2, pair(started=False).answer, payload)


def test_a_request_may_go_out_right_behind_the_service_request():
    """The answers come in order: first the service's, and nothing else before it."""
    for early in (encode(UserauthSuccess()), encode(UserauthFailure(("password",), False)), encode(UserauthPkOk("ssh-ed25519", BLOB))):
        ends = pair(started=False)
        ends.client.request_service()
        ends.client.ask_about_key("ssh-ed25519", BLOB)
        ends_with(2, ends.answer, early)
        ends_with(2, ends.client.receive, early)  # not by its phase alone
    ends = pair(started=False)
    wanted = ends.ask(ends.client.request_service())
    assert isinstance(ends.ask(ends.client.request_none()), Hopeless)
    assert isinstance(wanted, ServiceWanted)
    assert ends.answer(wanted.reply) == ServiceAccepted()
    assert ends.answer(ends.server.refuse(counts=False)) == Refused(("publickey", "password"), False)


def test_sm_083_the_service_is_accepted_once():
    ends = pair()
    ends_with(2, ends.answer, encode(ServiceAccept("ssh-userauth")))
    ends_with(2, ends.client.receive, encode(ServiceAccept("ssh-userauth")))


def test_sm_106_success_twice_and_answers_behind_it():
    for payload in (encode(UserauthSuccess()), encode(UserauthFailure((), False)), encode(UserauthPkOk("ssh-ed25519", BLOB))):
        ends = pair()
        ends.client.request_none()
        ends.answer(encode(UserauthSuccess()))
        ends_with(2, ends.answer, payload)


def test_sm_107_names_nobody_knows_are_no_harm():
    ends = pair()
    ends.client.request_none()
    event = ends.answer(encode(UserauthFailure(("junk", "x@y", "~"), False)))
    assert event == Refused(("junk", "x@y", "~"), False)


def test_sm_108_banners_are_bounded():
    ends = pair()
    event = ends.answer(encode(UserauthBanner("x" * 2**20)))
    assert event == BannerReceived("x" * 65536)
    for _ in range(15):
        ends.answer(encode(UserauthBanner("")))
    ends_with(2, ends.answer, encode(UserauthBanner("")))


def test_sm_108_small_limits_are_met():
    ends = pair(limits=Limits(banners=1, banner_bytes=3))
    assert ends.answer(encode(UserauthBanner("abcd"))) == BannerReceived("abc")
    ends_with(2, ends.answer, encode(UserauthBanner("")))


def test_sm_108_banner_bytes_are_bytes():
    event = pair(limits=Limits(banner_bytes=10)).answer(encode(UserauthBanner("€" * 10)))
    assert isinstance(event, BannerReceived)
    assert len(event.text.encode("utf-8", "surrogateescape")) <= 10


def test_sm_109_b04_a_key_that_was_not_asked_about():
    other = KEYS["ecdsa-sha2-nistp256"].public_key.blob
    for algorithm, blob in (("ssh-ed25519", other), ("ecdsa-sha2-nistp256", BLOB), ("rsa-sha2-512", BLOB), ("ssh-ed25519", b""), ("", b"")):
        ends = pair()
        ends.client.ask_about_key("ssh-ed25519", BLOB)
        ends_with(2, ends.answer, encode(UserauthPkOk(algorithm, blob)))


def test_sm_109_pk_ok_out_of_place():
    yes = encode(UserauthPkOk("ssh-ed25519", BLOB))
    ends_with(2, pair().answer, yes)
    signing = pair()
    signed_request(signing.client, KEY, "ssh-ed25519")
    ends_with(2, signing.answer, yes)
    password = pair()
    password.client.request_password("x")
    ends_with(2, password.answer, yes)
    twice = pair()
    twice.client.ask_about_key("ssh-ed25519", BLOB)
    assert twice.answer(yes) == KeyAccepted()
    ends_with(2, twice.answer, yes)


def test_success_is_no_answer_to_a_question_about_a_key():
    """Nothing was signed yet (RFC 4252 §7)."""
    ends = pair()
    ends.client.ask_about_key("ssh-ed25519", BLOB)
    ends_with(2, ends.answer, encode(UserauthSuccess()))


def test_b21_messages_of_methods_that_were_not_begun():
    for payload in (encode(UserauthPasswdChangereq("new?")), encode(UserauthInfoRequest("", "", "", bytes(4)))):
        ends = pair()
        ends.client.request_none()
        ends_with(2, ends.answer, payload)
    for payload in (bytes([number]) + bytes(20) for number in range(61, 80)):
        ends = pair()
        ends.client.request_password("x")
        ends_with(2, ends.answer, payload)
        ends = pair()
        ends.client.request_keyboard_interactive()
        ends_with(2, ends.answer, payload)


def test_our_own_requests_are_made_one_at_a_time():
    early = pair(started=False).client
    for ask in (early.request_none, lambda: early.request_password("x"), lambda: early.ask_about_key("a", b"")):
        with pytest.raises(LocalProtocolError):
            ask()
    ends = pair()
    ends.client.request_none()
    for ask in (ends.client.request_none, lambda: ends.client.request_password("x"), lambda: ends.client.ask_about_key("a", b"")):
        with pytest.raises(LocalProtocolError):
            ask()
    ends.answer(encode(UserauthSuccess()))
    with pytest.raises(LocalProtocolError):
        ends.client.request_none()


def test_refused_questions_leave_no_key_behind():
    """B19: a question that failed, then another method: the old key's PK_OK is no answer any more."""
    ends = pair()
    ends.client.ask_about_key("ssh-ed25519", BLOB)
    ends.answer(encode(UserauthFailure(("password",), False)))
    ends.client.request_password("x")
    ends_with(2, ends.answer, encode(UserauthPkOk("ssh-ed25519", BLOB)))


def test_answers_are_read_strictly():
    for payload in (encode(UserauthSuccess()), encode(UserauthFailure(("a", "b"), False)), encode(UserauthBanner("x"))):
        for wrong in (payload + b"\0", *(payload[:end] for end in range(1, len(payload)))):
            ends = pair()
            ends.client.request_none()
            with pytest.raises(DecodeError):
                ends.answer(wrong)
