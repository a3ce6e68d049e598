"""``.. config-keywords:: ssh`` (or ``sshd``) lists the keywords of a configuration file from the tables that read it.

What is honoured, under which other names, what may stand in a ``Match`` block, and what becomes of the keywords that are known but not
honoured: so the page cannot promise anything else than the program does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

from trio_ssh.config import ssh_config, ssh_other, sshd_config, sshd_other
from trio_ssh.config.settings import Keyword

WORDS_OF_KIND = {
    ssh_other.Kind.TUNING: "a warning",
    ssh_other.Kind.FEATURE: "an error; with IgnoreUnknown, or in the system's file, it is left out",
    ssh_other.Kind.ROUTE: "an error, whatever IgnoreUnknown says",
}


def ssh_names() -> list[str]:
    return sorted(ssh_config.OPTION_NAMES, key=str.lower)


def sshd_names() -> list[str]:
    return sorted((keyword.name for keyword in sshd_config.TABLE.values()), key=str.lower)


def other_names(table: Mapping[str, Keyword[object]]) -> list[tuple[str, str]]:
    """(old name in lower case, today's name)."""
    return sorted((name, keyword.name) for name, keyword in table.items() if name != keyword.name.lower())


def ssh_others() -> list[tuple[str, str, str]]:
    """Names, the values that are taken without a word, and what becomes of others; alike ones in one row."""
    return _alike((other.name, _values(other.off), WORDS_OF_KIND[other.kind]) for other in ssh_other.OTHERS.values())


def sshd_others() -> list[tuple[str, str, str]]:
    return _alike((other.name, _values(other.holds), _becomes(other)) for other in sshd_other.OTHERS.values())


def _values(values: frozenset[str] | None) -> str:
    return "any" if values is None else ", ".join(sorted(values))


def _becomes(other: sshd_other.Other) -> str:
    if other.holds is None:
        return ""
    return f"an error: {other.error}" if other.error else f"a warning: {other.warning}"


def _alike(rows: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for name, values, becomes in rows:
        found.setdefault((values, becomes), []).append(name)
    return [(", ".join(names), values, becomes) for (values, becomes), names in found.items()]


class ConfigKeywords(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.state.document.settings.env.note_reread()  # the tables stand in many modules
        if directives.choice(self.arguments[0], ("ssh", "sshd")) == "ssh":
            return _ssh()
        return _sshd()


def _ssh() -> list[nodes.Node]:
    several = [keyword.name for keyword in dict.fromkeys(ssh_config.TABLE.values()) if keyword.accumulates]
    return [
        _list("Honoured", ssh_names()),
        _list("Of these, every line adds to", sorted(several, key=str.lower)),
        _aliases(ssh_config.TABLE),
        _table(("known, but not honoured", "value taken without a word", "otherwise"), (50, 15, 35), ssh_others()),
    ]


def _sshd() -> list[nodes.Node]:
    in_match = {keyword.name for keyword in sshd_config.IN_MATCH}
    several = [keyword.name for keyword in sshd_config.TABLE.values() if keyword.accumulates]
    return [
        _list("Honoured, in Match blocks too", [name for name in sshd_names() if name in in_match]),
        _list("Honoured, for the server as a whole", [name for name in sshd_names() if name not in in_match]),
        _list("Of these, every line adds to", sorted(several, key=str.lower)),
        _aliases(sshd_config._READ),
        _table(("known, but nothing is done about it", "value taken without a word", "otherwise"), (50, 15, 35), sshd_others()),
    ]


def _list(title: str, names: Sequence[str]) -> nodes.paragraph:
    """``title: A, B and C.``"""
    return nodes.paragraph("", "", nodes.strong(text=f"{title}: "), nodes.Text(f"{', '.join(names[:-1])} and {names[-1]}."))


def _aliases(table: Mapping[str, Keyword[object]]) -> nodes.paragraph:
    pairs = "; ".join(f"{old} is {name}" for old, name in other_names(table))
    return nodes.paragraph("", "", nodes.strong(text="Older names, in any case of letters: "), nodes.Text(f"{pairs}."))


def _table(head: tuple[str, ...], widths: tuple[int, ...], rows: Iterable[tuple[str, ...]]) -> nodes.table:
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *(_row(cells) for cells in rows))
    return nodes.table("", group)


def _row(cells: Sequence[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph(text=cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("config-keywords", ConfigKeywords)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
