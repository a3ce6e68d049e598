"""The messages of the authentication protocol (RFC 4252, RFC 4256).

A USERAUTH_REQUEST's last fields depend on its method: `UserauthRequest.method_fields` holds them, the structures below read them.
"""

from __future__ import annotations

from ..errors import DecodeError, LocalProtocolError
from .codec import Boolean, Name, NameList, Rest, String, Text, message, structure
from .primitives import read_boolean, read_string, read_text, read_uint32, write_boolean, write_string, write_text, write_uint32


@message(50)
class UserauthRequest:
    """RFC 4252 §5."""

    user_name: Text
    service_name: Name
    method_name: Name
    method_fields: Rest = b""


@structure
class PasswordFields:
    """RFC 4252 §8. `new_password` follows only when `is_change`."""

    is_change: Boolean
    password: String
    new_password: Rest = b""


@structure
class PublicKeyFields:
    """RFC 4252 §7. A probe ends after the key; a request with `has_signature` carries the signature string in `signature_field`."""

    has_signature: Boolean
    algorithm: Name
    key_blob: String
    signature_field: Rest = b""


@structure
class SignedPublicKeyRequest:
    """What a publickey signature is over (RFC 4252 §7): the session id, then the request up to the key."""

    session_id: String
    request: Rest


@structure
class KeyboardInteractiveFields:
    """RFC 4256 §3.1."""

    language_tag: Text
    submethods: Text


@message(51)
class UserauthFailure:
    """RFC 4252 §5.1."""

    methods: NameList
    partial_success: Boolean


@message(52)
class UserauthSuccess:
    pass


@message(53)
class UserauthBanner:
    """RFC 4252 §5.4."""

    text: Text
    language_tag: Text = ""


@message(60)
class UserauthPkOk:
    """RFC 4252 §7: the server would take this key."""

    algorithm: Name
    key_blob: String


@message(60)
class UserauthPasswdChangereq:
    """RFC 4252 §8."""

    prompt: Text
    language_tag: Text = ""


@message(60)
class UserauthInfoRequest:
    """RFC 4256 §3.2; `prompts` is read and written by `read_prompts` and `write_prompts`."""

    name: Text
    instruction: Text
    language_tag: Text
    prompts: Rest


@message(61)
class UserauthInfoResponse:
    """RFC 4256 §3.4; `responses` is read and written by `read_responses` and `write_responses`."""

    responses: Rest


def read_prompts(data: bytes, prompts_max: int) -> tuple[tuple[str, bool], ...]:
    """(prompt, echo) pairs. More than `prompts_max`, or bytes left over, raise `DecodeError`."""
    count, offset = read_uint32(data, 0)
    if count > prompts_max:
        raise DecodeError(f"an INFO_REQUEST has {count} prompts; at most {prompts_max} are taken")
    prompts = []
    for _ in range(count):
        prompt, offset = read_text(data, offset)
        echo, offset = read_boolean(data, offset)
        prompts.append((prompt, echo))
    _refuse_rest(data, offset)
    return tuple(prompts)


def write_prompts(prompts: tuple[tuple[str, bool], ...]) -> bytes:
    out = bytearray()
    write_uint32(out, len(prompts))
    for prompt, echo in prompts:
        if not prompt:
            raise LocalProtocolError("a prompt must not be empty (RFC 4256 §3.2)")
        write_text(out, prompt)
        write_boolean(out, echo)
    return bytes(out)


def read_responses(data: bytes, responses_max: int) -> tuple[str, ...]:
    """The answers of an INFO_RESPONSE. More than `responses_max`, or bytes left over, raise `DecodeError`."""
    count, offset = read_uint32(data, 0)
    if count > responses_max:
        raise DecodeError(f"an INFO_RESPONSE has {count} answers; at most {responses_max} are taken")
    responses = []
    for _ in range(count):
        response, offset = read_text(data, offset)
        responses.append(response)
    _refuse_rest(data, offset)
    return tuple(responses)


def write_responses(responses: tuple[str, ...]) -> bytes:
    out = bytearray()
    write_uint32(out, len(responses))
    for response in responses:
        write_text(out, response)
    return bytes(out)


def read_signature_field(data: bytes) -> bytes:
    """The one string that follows the key in a signed request."""
    signature, offset = read_string(data, 0)
    _refuse_rest(data, offset)
    return signature


def string_field(value: bytes) -> bytes:
    """`value` as a string: for `signature_field` and `new_password`."""
    out = bytearray()
    write_string(out, value)
    return bytes(out)


def _refuse_rest(data: bytes, offset: int) -> None:
    if offset != len(data):
        raise DecodeError(f"{len(data) - offset} bytes follow the end of the message")
