"""The command line of trio-ssh-keygen."""

from __future__ import annotations

import pytest

from trio_ssh.cli.keygen_arguments import SUPPORTED, Action, BadValue, KeyFormat, Request, parse_arguments
from trio_ssh.cli.options import UsageError


def test_nothing_at_all():
    request = parse_arguments([])
    assert request == Request(action=Action.MAKE_KEY)
    assert (request.quiet, request.verbose, request.digest) == (False, False, "sha256")


def test_making():
    request = parse_arguments(
        ["-q", "-o", "-t", "rsa", "-b4096", "-a", "100", "-f", "key", "-N", "secret", "-C", "me", "-Z", "aes256-ctr", "-m", "pkcs8"]
    )
    assert (request.action, request.kind, request.bits, request.path) == (Action.MAKE_KEY, "rsa", 4096, "key")
    assert (request.new_passphrase, request.comment, request.quiet) == ("secret", "me", True)
    assert (request.saving.rounds, request.saving.cipher, request.saving.format) == (100, "aes256-ctr", KeyFormat.PKCS8)


@pytest.mark.parametrize("action", [action for action in Action if action.value and action is not Action.SIGN])
def test_each_action(action: Action):
    host = ["host"] if action in (Action.FIND_HOST, Action.REMOVE_HOST) else []
    request = parse_arguments([action.value, *host, "-f", "file"])
    assert (request.action, request.host, request.path) == (action, "".join(host), "file")


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (["-F", "a", "-H"], Action.FIND_HOST),
        (["-lF", "a"], Action.FIND_HOST),
        (["-lvf", "a"], Action.SHOW_FINGERPRINTS),
        (["-L", "-l"], Action.SHOW_CERTIFICATES),
        (["-y", "-e"], Action.EXPORT),
        (["-R", "a", "-H"], Action.REMOVE_HOST),
    ],
)
def test_which_action_wins(words: list[str], action: Action):
    assert parse_arguments(words).action is action


def test_signing():
    words = "-s ca -I me -h -n a,b.example -V +1d -z +7 -O clear -O critical:a@b=c -t rsa-sha2-256 -P secret one.pub two.pub"
    request = parse_arguments(words.split())
    wish = request.certificate
    assert wish is not None
    assert request.words == ("one.pub", "two.pub")
    assert (request.kind, request.old_passphrase) == ("rsa-sha2-256", "secret")
    assert (wish.ca_path, wish.key_id, wish.for_host, wish.principals) == ("ca", "me", True, ("a", "b.example"))
    assert (wish.validity, wish.serial, wish.increment, wish.options) == ("+1d", 7, True, ("clear", "critical:a@b=c"))


def test_the_last_serial_number():
    wish = parse_arguments(["-s", "ca", "-I", "x", "-z", str(2**64 - 1), "key.pub"]).certificate
    assert wish is not None
    assert (wish.serial, wish.increment) == (2**64 - 1, False)


@pytest.mark.parametrize("letter", sorted(set("ABDFHIKLMNOPQRUVXYZabcdefghiklmnopqrstuvwyz") - set(SUPPORTED) - set("bdFT")))
def test_what_is_not_supported_is_named(letter: str):
    with pytest.raises(UsageError, match=f"-{letter}"):
        parse_arguments([f"-{letter}", "value"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-p", "-c"], "only one of -p and -c"),
        (["-l", "-R", "a"], "-l and -B cannot stand beside -R"),
        (["-l", "-H"], "-l cannot stand beside -H"),
        (["-s", "ca", "-I", "x"], "name the public key files"),
        (["-l", "more"], "nothing to do with the word 'more'"),
        (["-t", "ed25519", "-O", "resident"], "-O is for signing certificates"),
        (["-d"], "there is no option -d"),
        (["-f"], "-f needs a value"),
    ],
)
def test_what_makes_no_sense(words: list[str], text: str):
    with pytest.raises(UsageError, match=text):
        parse_arguments(words)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-b", "many"], "-b many: that is no number"),
        (["-b", "0"], "-b 0: that is no number"),
        (["-b", "1" * 5000], "-b 1+…: that is no number"),
        (["-a", "0"], "-a 0: that is no number"),
        (["-a", "-1"], "-a -1: that is no number"),
        (["-E", "crc32"], "use sha256 or md5"),
        (["-m", "DER"], "use RFC4716, PKCS8 or PEM"),
        (["-s", "ca", "a"], "identity with -I"),
        (["-s", "ca", "-I", "x", "-n", "a,,b", "a"], "an empty name in this list"),
        (["-s", "ca", "-I", "x", "-n", "", "a"], "an empty name in this list"),
        (["-s", "ca", "-I", "x", "-z", "seven", "a"], "a serial number is between"),
        (["-s", "ca", "-I", "x", "-z", str(2**64), "a"], "a serial number is between"),
        (["-s", "ca", "-I", "x", "-z", "++1", "a"], "a serial number is between"),
    ],
)
def test_bad_values(words: list[str], text: str):
    with pytest.raises(BadValue, match=text):
        parse_arguments(words)
