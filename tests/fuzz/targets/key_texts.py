"""Texts in which trio-ssh-keygen looks for keys, and trio-ssh-keyscan for hosts: any bytes will do, and nothing in them can fail."""

from __future__ import annotations

from itertools import islice

from tests import pairs
from trio_ssh.cli.keygen_files import public_lines
from trio_ssh.cli.keygen_showing import bubble_babble, picture
from trio_ssh.cli.keyscan_arguments import BadScan, text_targets
from trio_ssh.keys.certificate_signing import CertificateRequest, sign_certificate
from trio_ssh.keys.certificate_text import describe_certificate
from trio_ssh.keys.certificates import Certificate

TARGETS_MAX = 1000  # the address of a network may stand for 2^128 hosts
KEY = pairs.HOST_KEY.public_key
CERTIFICATE = sign_certificate(pairs.USER_KEY, CertificateRequest(public_key=KEY, key_id="an id", principals=["ada"]))


def target(data: bytes) -> None:
    for line in public_lines(data):
        assert line.number <= data.count(b"\n") + 1
        assert line.public_key.bits > 0
        assert picture(line.key, "md5").count("\n") == 10
        assert len(bubble_babble(line.public_key)) == 65
        if isinstance(line.key, Certificate):
            assert all(text.isprintable() for text in describe_certificate(line.key))
    try:
        for host in islice(text_targets(data), TARGETS_MAX):
            assert host.addresses
            assert host.names
    except BadScan:
        pass


def seeds() -> list[bytes]:
    line, certified = KEY.to_openssh_line("a comment").encode(), CERTIFICATE.to_openssh_line("x").encode()
    options = rb'restrict,command="a \" b" '
    return [
        line,
        certified,
        options + line,
        b"# comment\n\n" + line + b"\r\nhost.example " + line + b"\n" + certified,
        b"192.0.2.0/30 a,b\n2001:db8::/64\n,\nhost.example,192.0.2.1 # comment\n",
    ]
