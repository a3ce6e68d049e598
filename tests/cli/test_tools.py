"""trio-ssh and trio-sshd as processes against each other: commands, bulk, statuses, and one line for each failure."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.tools import SECONDS, Home, running, server_command, tool
from tests.support import free_port
from trio_ssh import PrivateKey

BULK = os.urandom(1 << 20) * 8


def assert_one_line(result: subprocess.CompletedProcess[bytes], pattern: str) -> None:
    """It failed as ssh does, with one line that says what was wrong."""
    text = result.stderr.decode()
    assert result.returncode == 255, text
    assert text.count("\n") == 1, text
    assert re.search(pattern, text), text
    assert result.stdout == b""


# --- what works ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "data", "stdout", "stderr", "status"),
    [
        (["echo", "a  b;", "echo", "c"], b"", b"a b\nc\n", b"", 0),
        (["echo out; echo err >&2; exit 7"], b"", b"out\n", b"err\n", 7),
        (["tr a-z A-Z"], b"typed", b"TYPED", b"", 0),
        (["exit 300"], b"", b"", b"", 300 & 0xFF),
        ([], b"echo from the shell; exit 3\n", b"from the shell\n", b"", 3),
    ],
)
def test_commands(place, words, data, stdout, stderr, status):
    result = place.home.run_ssh(place.port, *words, data=data)
    assert (result.stdout, result.stderr, result.returncode) == (stdout, stderr, status)


def test_ended_by_a_signal(place):
    result = place.home.run_ssh(place.port, "kill -TERM $$")
    assert (result.returncode, result.stderr) == (255, b"trio-ssh: the remote process was ended by signal TERM\n")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-o", "RekeyLimit=256K"],
        ["-c", "chacha20-poly1305@openssh.com"],
        ["-m", "hmac-sha2-512-etm@openssh.com", "-c", "aes256-ctr"],
        ["-C"],
    ],
)
def test_bulk_both_ways(place, options):
    command = tool("ssh", "-p", str(place.port), "-i", str(place.home.user_key), *options, "127.0.0.1", "cat")
    result = place.home.run(command, data=BULK)
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(BULK).digest()
    assert result.returncode == 0


def test_a_tiny_rekey_limit(place):
    command = tool("ssh", "-p", str(place.port), "-i", str(place.home.user_key), "-o", "RekeyLimit=16", "127.0.0.1", "cat")
    result = place.home.run(command, data=b"x" * 20000)
    assert (len(result.stdout), result.returncode) == (20000, 0)


def test_regular_files(place, tmp_path: Path):
    (tmp_path / "in").write_bytes(BULK)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        command = place.home.ssh(place.port, "cat")
        status = subprocess.run(command, stdin=source, stdout=target, env=place.home.environ, timeout=SECONDS, check=False).returncode
    assert status == 0
    assert (tmp_path / "out").read_bytes() == BULK


def test_no_input(place):
    assert place.home.run_ssh(place.port, "-n", "cat", data=b"not read").stdout == b""


def test_closed_standard_files(place):
    """No file of ours takes the number of stdin, stdout or stderr."""
    script = f"{' '.join(place.home.ssh(place.port, 'cat; echo ok >&2'))} <&- >&-"
    result = place.home.run(["sh", "-c", script.replace("cat; echo ok >&2", "'cat; echo ok >&2'")])
    assert (result.stdout, result.stderr, result.returncode) == (b"", b"ok\n", 0)


def test_nobody_reads_our_output(place):
    """A bounded output: the exit status is kept (hardening FLT-25). An endless one is ended."""
    for command, status in (("head -c 3000000 /dev/zero; exit 3", 3), ("yes", 255)):
        process = subprocess.Popen(
            place.home.ssh(place.port, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=place.home.environ,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        with process.stderr:
            assert process.stderr.read() == b""
        assert process.wait(SECONDS) == status


def test_terminal_by_force(place):
    result = place.home.run(tool("ssh", "-tt", "-p", str(place.port), "-i", str(place.home.user_key), "127.0.0.1", "tty"))
    assert result.stdout.startswith(b"/dev/pts/")
    assert result.returncode == 0


def test_a_terminal_that_is_not_there(place):
    result = place.home.run(tool("ssh", "-t", "-p", str(place.port), "-i", str(place.home.user_key), "127.0.0.1", "tty"))
    assert result.stdout == b"not a tty\n"
    assert b"stdin is none" in result.stderr


def test_a_subsystem(place):
    command = tool("ssh", "-p", str(place.port), "-i", str(place.home.user_key), "-s", "127.0.0.1", "upper")
    assert place.home.run(command, data=b"abc").stdout == b"ABC"
    command[-1] = "lower"
    assert place.home.run(command).returncode != 0


def test_the_users_configuration(place):
    (place.home.path / ".ssh" / "config").write_text(
        f"Host build\n  HostName 127.0.0.1\n  Port {place.port}\n  IdentityFile ~/user_key\n  LogLevel ERROR\n"
    )
    result = place.home.run(tool("ssh", "build", "echo", "ok"))
    assert (result.stdout, result.stderr) == (b"ok\n", b"")
    assert (
        place.home.run(tool("ssh", "-F", "none", "-o", "ConnectTimeout=5", "-o", "BatchMode=yes", "build.invalid", "true")).returncode
        == 255
    )


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_address_families(place, family):
    command = tool("ssh", family, "-p", str(place.port), "-i", str(place.home.user_key), "127.0.0.1", "echo ok")
    result = place.home.run(command)
    if family == "-4":
        assert result.stdout == b"ok\n"
    else:
        assert_one_line(result, f"cannot connect to 127.0.0.1 port {place.port}: ")


def test_verbose(place):
    result = place.home.run(tool("ssh", "-v", "-p", str(place.port), "-i", str(place.home.user_key), "127.0.0.1", "true"))
    assert b"keys agreed in" in result.stderr
    assert b"by publickey: granted" in result.stderr


def test_a_log_file(place, tmp_path: Path):
    log = tmp_path / "log"
    result = place.home.run(tool("ssh", "-v", "-E", str(log), "-p", str(place.port), "-i", str(place.home.user_key), "127.0.0.1", "true"))
    assert (result.returncode, result.stderr) == (0, b"")
    assert "keys agreed in" in log.read_text()
    result = place.home.run(tool("ssh", "-q", "-p", "1", "127.0.0.1"))
    assert (result.returncode, result.stderr) == (255, b"")


def test_accept_new(place):
    place.home.known_hosts.unlink()
    words = ["-p", str(place.port), "-i", str(place.home.user_key), "-o", "StrictHostKeyChecking=accept-new", "127.0.0.1", "true"]
    first = place.home.run(tool("ssh", *words))
    assert (first.returncode, b"permanently added" in first.stderr) == (0, True)
    second = place.home.run(tool("ssh", *words))
    assert (second.returncode, second.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_killed(place, number):
    process = subprocess.Popen(
        place.home.ssh(place.port, "echo ready; exec sleep 600"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=place.home.environ,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        assert stdout.readline() == b"ready\n"
        process.send_signal(number)
        stderr = process.communicate(timeout=SECONDS)[1]
    assert (process.returncode, stderr) == (255, b"trio-ssh: killed by signal %d\n" % number)


# --- what does not ---------------------------------------------------------------------------------------------------------------------


def test_unknown_host_key(place):
    place.home.known_hosts.write_text("")
    fingerprint = PrivateKey.from_file(place.home.host_key).public_key.fingerprint()
    assert_one_line(
        place.home.run_ssh(place.port, "true"), rf"the host key of \[127\.0\.0\.1\]:{place.port} is not known: .*{re.escape(fingerprint)}"
    )


def test_changed_host_key(place):
    place.home.know(place.port, place.home.user_key)
    pattern = rf"HAS CHANGED.* {re.escape(str(place.home.known_hosts))} line 1.*ssh-keygen -f {re.escape(str(place.home.known_hosts))} -R"
    assert_one_line(place.home.run_ssh(place.port, "true"), pattern)


def test_no_common_algorithm(place):
    command = tool(
        "ssh", "-p", str(place.port), "-o", "HostKeyAlgorithms=rsa-sha2-512", "-i", str(place.home.user_key), "127.0.0.1", "true"
    )
    assert_one_line(place.home.run(command), "no common host key algorithm: we offer rsa-sha2-512; the peer offers ssh-ed25519")


def test_wrong_key(place, tmp_path: Path):
    PrivateKey.generate().write_file(tmp_path / "key")
    command = tool("ssh", "-o", "BatchMode=yes", "-p", str(place.port), "-i", str(tmp_path / "key"), "127.0.0.1", "true")
    assert_one_line(place.home.run(command), "the server did not let .* in: tried publickey ssh-ed25519; it still takes publickey")


def test_another_account(place):
    command = tool(
        "ssh", "-o", "BatchMode=yes", "-l", "nobody-has-this-name", "-p", str(place.port), "-i", str(place.home.user_key), "127.0.0.1"
    )
    assert_one_line(place.home.run(command), "did not let 'nobody-has-this-name' in")


def test_port_closed(place):
    port = free_port()
    assert_one_line(place.home.run_ssh(port, "true"), f"cannot connect to 127.0.0.1 port {port}: .*Connection refused")


def test_no_such_host(place):
    assert_one_line(place.home.run(tool("ssh", "nowhere.invalid")), "cannot connect to nowhere.invalid port 22: ")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[2J\r\n\r\n", b"\0" * 1000, b"SSH-1.5-old\r\n", b""])
def test_not_an_ssh_server(place, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            stream, _ = listener.accept()
            with stream:
                stream.sendall(answer)
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        result = place.home.run_ssh(listener.getsockname()[1], "true")
        thread.join(SECONDS)
    assert_one_line(result, "trio-ssh: .")
    assert b"\x1b" not in result.stderr


def test_a_silent_server(place):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = place.home.run(tool("ssh", "-o", "ConnectTimeout=1", "-p", str(port), "127.0.0.1", "true"))
    assert_one_line(result, rf"no connection to 127\.0\.0\.1 port {port} within 1 s \(ConnectTimeout\)")


def test_key_files(place, tmp_path: Path):
    command = tool("ssh", "-p", str(place.port), "-i", str(tmp_path / "key"), "127.0.0.1", "true")
    assert_one_line(place.home.run(command), "key: cannot be read: No such file")
    PrivateKey.generate().write_file(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    assert_one_line(place.home.run(command), r"key: its mode 0644 .* run: chmod 600")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key").write_text("rubbish")
    assert_one_line(place.home.run(command), "key: it is not a private key")


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["-A", "127.0.0.1"], "trio-ssh: the option -A is not supported"),
        (["-z", "127.0.0.1"], "trio-ssh: there is no option -z"),
        (["-o", "ForwardAgent=yes", "127.0.0.1"], "trio-ssh: command line: the option 'ForwardAgent' is not supported"),
        (["-F", "/nowhere/config", "127.0.0.1"], "trio-ssh: /nowhere/config: cannot be read: No such file"),
        (["-E", "/nowhere/log", "127.0.0.1"], "-E /nowhere/log: the log file cannot be written: No such file"),
        (["-i", "~nobody-has-this-name/k", "127.0.0.1"], "there is no such user's home"),
        (["-oproxycommand=x@host", "127.0.0.1"], "the option 'proxycommand' is not supported"),
    ],
)
def test_bad_options(place, words, pattern):
    assert_one_line(place.home.run(tool("ssh", *words)), pattern)


def test_a_bad_configuration(place):
    config = place.home.path / ".ssh" / "config"
    config.write_text("Host *\n  ForwardX11 yes\n")
    assert_one_line(place.home.run_ssh(place.port, "true"), rf"{re.escape(str(config))} line 2: the option 'ForwardX11' is not supported")
    config.chmod(0o666)
    assert_one_line(place.home.run_ssh(place.port, "true"), "others than you may write")


@pytest.mark.parametrize(("number", "pattern"), [(signal.SIGKILL, "trio-ssh: ."), (signal.SIGTERM, "the peer disconnected")])
def test_the_server_goes_away(place, number, pattern):
    home = place.home
    with running(server_command(home), home.environ) as server:
        home.know(server.port)
        process = subprocess.Popen(
            home.ssh(server.port, "echo ready; cat"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=home.environ,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdin, process.stdout as stdout, process.stderr as stderr:
            assert stdout.readline() == b"ready\n"
            server.process.send_signal(number)
            text = stderr.read().decode()
            assert process.wait(SECONDS) == 255
        assert server.process.wait(SECONDS) == (0 if number == signal.SIGTERM else -number)
    assert text.count("\n") == 1
    assert re.search(pattern, text), text


# --- the server ------------------------------------------------------------------------------------------------------------------------


def test_inetd_style(place, tmp_path: Path):
    """-i: the connection is its stdin and stdout, here a pair of sockets."""
    home = place.home
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [word for word in server_command(home, "-i", "-e") if word != "-D"]
        server = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, env=home.environ)
        theirs.close()
        assert server.stderr is not None
        with server.stderr, socket.create_server(("127.0.0.1", 0)) as listener:
            relay = threading.Thread(target=relay_once, args=(listener, ours))
            relay.start()
            port = listener.getsockname()[1]
            home.know(port)
            result = home.run_ssh(port, "cat", data=BULK)
            relay.join(SECONDS)
            status = server.wait(SECONDS)
    assert (result.stdout == BULK, result.returncode, status) == (True, 0, 0)


def relay_once(listener: socket.socket, other: socket.socket) -> None:
    stream, _ = listener.accept()
    with stream:
        back = threading.Thread(target=copy, args=(other, stream))
        back.start()
        copy(stream, other)
        back.join(SECONDS)


def copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other direction has closed it


def test_one_connection_only(place):
    home = place.home
    command = [word for word in server_command(home, "-d") if word != "-D"]
    with running(command, home.environ) as server:
        home.know(server.port)
        assert home.run_ssh(server.port, "echo ok").stdout == b"ok\n"
        assert server.process.wait(SECONDS) == 0


def test_in_the_background(place, tmp_path: Path):
    home = place.home
    log, pid_file = tmp_path / "log", tmp_path / "pid"
    command = [word for word in server_command(home, "-E", str(log), "-o", f"PidFile={pid_file}") if word != "-D"]
    result = home.run(command)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    found = re.search(r"Server listening on 127\.0\.0\.1 port (\d+)\.", log.read_text())
    assert found
    home.know(int(found[1]))
    # The sockets were open before the first process ended, so the server answers as soon as it is there, and its pid file is.
    assert home.run_ssh(int(found[1]), "echo ok").stdout == b"ok\n"
    number = int(pid_file.read_text())
    descriptor = os.pidfd_open(number)
    try:
        os.kill(number, signal.SIGTERM)
        assert wait_ended(descriptor)
    finally:
        os.close(descriptor)
    assert not pid_file.exists()
    assert "Received signal 15; terminating." in log.read_text()


def wait_ended(descriptor: int) -> bool:
    import select

    return bool(select.select([descriptor], [], [], SECONDS)[0])


def test_trying_the_configuration(place):
    home = place.home
    result = home.run(server_command(home, "-t"))
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    result = home.run(server_command(home, "-T", "-o", "RekeyLimit=1G 1h"))
    assert b"rekeylimit 1073741824 3600\n" in result.stdout


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["-R"], "trio-sshd: the option -R is not supported"),
        (["-o", "ChrootDirectory=/srv"], "command line: ChrootDirectory '/srv': folders cannot be made the root of sessions yet"),
        (["-o", "KbdInteractiveAuthentication=yes"], "command line: KbdInteractiveAuthentication: .* UsePAM"),
        (
            ["-o", "PubkeyAuthentication=no", "-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no"],
            "command line: PubkeyAuthentication: without it nobody could log in",
        ),
        (["-C", "port=22"], "-C: 'port=22' is not user="),
        (["-h", "/nowhere/key"], "/nowhere/key: cannot be read: No such file"),
        (["-f", "/nowhere/config"], "/nowhere/config: cannot be read"),
        (["-o", "ListenAddress=nowhere.invalid"], "cannot listen on nowhere.invalid port 0"),
        (["-o", "PidFile=/nowhere/pid"], "PidFile /nowhere/pid: cannot be written"),
    ],
)
def test_bad_options_of_a_server(place, words, pattern):
    result = place.home.run(server_command(place.home, *words))
    lines = [line for line in result.stderr.decode().splitlines() if "listening on" not in line]
    assert result.returncode == 255
    assert len(lines) == 1, lines
    assert re.search(pattern, lines[0]), lines


def test_a_port_that_is_taken(place):
    command = tool("sshd", "-D", "-p", str(place.port), "-o", "ListenAddress=127.0.0.1", "-h", str(place.home.host_key))
    assert_one_line(place.home.run(command), f"cannot listen on 127.0.0.1 port {place.port}: Address already in use")


def test_a_host_key_that_others_can_read(place, tmp_path: Path):
    PrivateKey.generate().write_file(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    assert_one_line(place.home.run(tool("sshd", "-t", "-h", str(tmp_path / "key"))), "its mode 0644 lets others")


def test_a_killed_client_leaves_nothing_on_the_server(place, tmp_path: Path):
    mark = tmp_path / "pid"
    process = subprocess.Popen(
        place.home.ssh(place.port, f"echo $$ > {mark}; echo ready; exec sleep 600"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=place.home.environ,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        assert stdout.readline() == b"ready\n"
        descriptor = os.pidfd_open(int(mark.read_text()))
        process.kill()
        process.wait(SECONDS)
    try:
        assert wait_ended(descriptor)
    finally:
        os.close(descriptor)


# --- the rest --------------------------------------------------------------------------------------------------------------------------


def test_the_demonstration(place):
    result = place.home.run(tool("demo"))
    assert (result.returncode, result.stderr) == (0, b"")
    for text in (b"is that of what was sent", b"4 times", b"HostKeyUnknown", b"AuthenticationFailed", b"ended by signal TERM"):
        assert text in result.stdout


def test_names_of_tools(place):
    assert place.home.run(tool("trio-ssh", "-V")).stderr.startswith(b"trio_ssh_")
    result = place.home.run([sys.executable, "-m", "trio_ssh"])
    assert (result.returncode, b"usage: python -m trio_ssh TOOL" in result.stderr) == (255, True)


def test_versions(place):
    assert place.home.run(tool("sshd", "-V")).stderr.startswith(b"trio_ssh_")
    assert isinstance(place.home, Home)
