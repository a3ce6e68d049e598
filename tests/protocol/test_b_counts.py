"""Counts of prompts and answers that lie: refused, and nothing is allocated by what they say (hardening B08)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from tests.protocol.test_auth import SESSION_ID
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.auth_attempt import Prompt
from trio_ssh.protocol.auth_client import Asked, ClientAuthentication
from trio_ssh.protocol.auth_server import Answers, ServerAuthentication
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import ServiceAccept
from trio_ssh.wire.userauth import (
    KeyboardInteractiveFields,
    UserauthInfoRequest,
    UserauthInfoResponse,
    UserauthRequest,
    write_prompts,
    write_responses,
)

LIES = (0x7FFFFFFF, 2**28, 2**32 - 1, 10**6, 17)
BYTES_MAX = 64 * 1024


def asking() -> ServerAuthentication:
    """A server that has two questions out."""
    machine = ServerAuthentication(SESSION_ID, ("keyboard-interactive",))
    begun = UserauthRequest("ada", "ssh-connection", "keyboard-interactive", encode(KeyboardInteractiveFields("", "")))
    machine.receive(encode(begun))
    machine.ask([Prompt("1?"), Prompt("2?")], "", "")
    return machine


def asked() -> ClientAuthentication:
    """A client that has begun."""
    machine = ClientAuthentication("ada", SESSION_ID)
    machine.request_service()
    machine.receive(encode(ServiceAccept("ssh-userauth")))
    machine.request_keyboard_interactive()
    return machine


def refused_without_memory(act: Callable[[bytes], object], payload: bytes) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with pytest.raises(RemoteProtocolError) as refusal:
            act(payload)
        assert tracemalloc.get_traced_memory()[1] - before < BYTES_MAX + len(payload)
    finally:
        tracemalloc.stop()
    assert refusal.value.reason == 2


@pytest.mark.parametrize("behind", [b"", bytes(8), bytes(40_000)], ids=["nothing behind", "two behind", "ten thousand behind"])
@pytest.mark.parametrize("count", LIES)
def test_b08_answers_that_are_said_to_be_many(count, behind):
    refused_without_memory(asking().read, encode(UserauthInfoResponse(count.to_bytes(4, "big") + behind)))


@pytest.mark.parametrize("behind", [b"", bytes(10), bytes(40_000)], ids=["nothing behind", "two behind", "eight thousand behind"])
@pytest.mark.parametrize("count", LIES)
def test_b08_prompts_that_are_said_to_be_many(count, behind):
    refused_without_memory(asked().receive, encode(UserauthInfoRequest("", "", "", count.to_bytes(4, "big") + behind)))


@pytest.mark.parametrize("given", [0, 1, 3, 16])
def test_b08_sm_101_another_number_than_asked_is_no_answer(given):
    answers = asking().read(encode(UserauthInfoResponse(write_responses(("x",) * given))))
    assert answers == Answers(None)


def test_b08_as_many_as_may_be():
    prompts = write_prompts((("?", False),) * 16)
    event = asked().receive(encode(UserauthInfoRequest("", "", "", prompts)))
    assert isinstance(event, Asked)
    assert len(event.prompts) == 16
    refused_without_memory(asked().receive, encode(UserauthInfoRequest("", "", "", write_prompts((("?", False),) * 17))))
