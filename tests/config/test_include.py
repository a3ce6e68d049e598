"""Include: which files are read, in which order, where they count, and where it ends."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from trio_ssh.config import Place, SSHConfig, ssh_config
from trio_ssh.config.include import INCLUDE_DEPTH_MAX, INCLUDED_FILES_MAX
from trio_ssh.config.lines import CONFIG_FILE_BYTES_MAX
from trio_ssh.errors import ConfigError


class Folder:
    """Configuration files that nobody else can write to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("@", str(self.path)))
        path.chmod(0o600)
        return path

    def settings(self, content: str, host: str = "box.example"):
        return SSHConfig.from_file(self.write("config", content)).for_host(host)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_files_by_a_pattern_in_the_order_of_their_names(folder: Folder):
    folder.write("d/20", "Port 20\nUser late")
    folder.write("d/10", "Port 10")
    folder.write("d/.hidden", "Port 5")
    settings = folder.settings("Include @/d/* @/nothing/*.conf @/missing\nPort 1\nLogLevel ERROR")
    assert settings[ssh_config.PORT] == 10
    assert settings[ssh_config.USER] == "late"
    assert settings.places(ssh_config.PORT) == (Place(str(folder.path / "d" / "10"), 1),)
    assert settings.places(ssh_config.LOG_LEVEL) == (Place(str(folder.path / "config"), 3),)


def test_where_an_include_line_does_not_count_its_file_does_not_either(folder: Folder):
    folder.write("part", "Port 7\nHost *\nUser part\nMatch all\nLogLevel ERROR")
    text = "Host inner\nInclude @/part\nConnectionAttempts 3\nHost *\nUser other"
    inner, outer = folder.settings(text, "inner"), folder.settings(text, "outer")
    assert (inner[ssh_config.PORT], inner[ssh_config.USER], inner[ssh_config.CONNECTION_ATTEMPTS]) == (7, "part", 3)
    assert [setting.name for setting in outer] == ["User"]
    assert outer[ssh_config.USER] == "other"


def test_a_condition_ends_with_its_file(folder: Folder):
    folder.write("part", "Host nowhere")
    assert folder.settings("Include @/part\nPort 7")[ssh_config.PORT] == 7


def test_the_home_and_relative_names(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(folder.path))
    folder.write(".ssh/d/part", "Port 7")
    folder.write("other", "User ada")
    settings = folder.settings("Include d/* ~/other")
    assert (settings[ssh_config.PORT], settings[ssh_config.USER]) == (7, "ada")


def test_the_system_s_file_knows_no_home(folder: Folder):
    path = folder.write("system", "Include ~/x")
    with pytest.raises(ConfigError, match="system line 1: Include: '~/x': no home folder can be meant here"):
        SSHConfig.from_file(path, system=True)
    with pytest.raises(ConfigError, match="no home folder"):
        folder.settings("Include ~nobody-has-this-name/x")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("Include", "Include: its value is missing"),
        ('Include ""', "Include: '' is not a path"),
    ],
)
def test_bad_lines(folder: Folder, line, error):
    with pytest.raises(ConfigError, match=f"config line 2: {re.escape(error)}"):
        folder.settings(f"\n{line}")


def test_nothing_is_included_from_a_text_or_an_option():
    with pytest.raises(ConfigError, match=r"^text line 1: Include: no files are read for a text"):
        SSHConfig.from_text("Include /etc/passwd")
    with pytest.raises(ConfigError, match=r"^command line: the option 'Include' is not supported"):
        SSHConfig.from_options(["Include=/etc/passwd"]).for_host("x")


def test_a_fault_names_the_included_file(folder: Folder):
    folder.write("part", "\n\nPort x")
    with pytest.raises(ConfigError, match="part line 3: Port: 'x' is not a number"):
        folder.settings("Include @/part")


def test_an_included_file_that_others_can_write_to(folder: Folder):
    folder.write("part", "Port 7").chmod(0o666)
    with pytest.raises(ConfigError, match="part: others than you may write to this file"):
        folder.settings("Include @/part")


# -- files that are none, or too much ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["named", "included"])
def test_e14_res_31_a_fifo(folder: Folder, how: str):
    os.mkfifo(folder.path / "fifo", 0o600)
    with pytest.raises(ConfigError, match=r"fifo: it is not a regular file"):
        folder.settings("Include @/fifo") if how == "included" else SSHConfig.from_file(folder.path / "fifo")


@pytest.mark.parametrize("how", ["named", "included"])
def test_e14_res_31_an_endless_device(folder: Folder, how: str):
    with pytest.raises(ConfigError, match=r"^/dev/zero: it is not a regular file"):
        folder.settings("Include /dev/zero") if how == "included" else SSHConfig.from_file("/dev/zero")


@pytest.mark.parametrize("how", ["named", "included"])
def test_e14_res_31_sixteen_mebibytes(folder: Folder, how: str):
    path = folder.write("big", "")
    os.truncate(path, 16 << 20)
    with pytest.raises(ConfigError, match=rf"big: the file is larger than {CONFIG_FILE_BYTES_MAX} bytes"):
        folder.settings("Include @/big") if how == "included" else SSHConfig.from_file(path)


def test_e14_a_folder_and_a_terminal(folder: Folder):
    (folder.path / "d").mkdir()
    with pytest.raises(ConfigError, match="d: it is a directory"):
        folder.settings("Include @/d")
    with pytest.raises(ConfigError, match="/dev/tty: "):
        SSHConfig.from_file("/dev/tty")


def chain(folder: Folder, depth: int) -> str:
    for number in range(1, depth):
        folder.write(f"part{number}", f"Include @/part{number + 1}")
    folder.write(f"part{depth}", "Port 7")
    return "Include @/part1"


def test_e14_sixteen_deep_and_no_deeper(folder: Folder):
    assert INCLUDE_DEPTH_MAX == 16
    assert folder.settings(chain(folder, 16))[ssh_config.PORT] == 7
    with pytest.raises(ConfigError, match="part16 line 1: Include: files include each other more than 16 deep"):
        folder.settings(chain(folder, 17))


def test_e14_circles(folder: Folder):
    with pytest.raises(ConfigError, match=r"config line 1: Include: .*config is being read already"):
        folder.settings("Include @/config")
    folder.write("a", "Include @/b")
    folder.write("b", "Host x\nInclude @/sub/../a")
    (folder.path / "sub").mkdir()
    with pytest.raises(ConfigError, match=r"b line 2: Include: .*a is being read already: files include each other in a circle"):
        folder.settings("Include @/a")
    (folder.path / "link").symlink_to(folder.path / "config")
    with pytest.raises(ConfigError, match="in a circle"):
        folder.settings("Include @/link")


def test_e14_many_files_and_doublings_have_an_end(folder: Folder):
    for number in range(1, 16):
        folder.write(f"part{number}", f"Include @/part{number + 1} @/part{number + 1}")
    folder.write("part16", "")
    with pytest.raises(ConfigError, match=f"more than {INCLUDED_FILES_MAX} files are included"):
        folder.settings("Include @/part1 @/part1")


def test_e14_nothing_is_read_from_the_working_directory(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(folder.path / "home"))
    monkeypatch.chdir(folder.path)
    for name in ("config", "ssh_config", ".ssh/config", "part"):
        folder.write(name, "Port 7")
    assert SSHConfig.from_file(folder.write("asked_for", "Include part config")).for_host("x")[ssh_config.PORT] == 22
