"""Writes administration/setting_words.py, the meaning of each setting, from the table of docs/configuration.md.

    python -m tools.setting_words

``tests/administration`` compares what stands there with what this module would write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AIM = ROOT / "administration/setting_words.py"
_ROW = re.compile(r"^\| `(PACS_[A-Z0-9_]+)` \| `.*?` \| (.*) \|$", re.MULTILINE)
_LINE = 120
_HEAD = '''"""What each setting means, in plain words. Written by tools/setting_words.py from docs/configuration.md."""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
'''


def module() -> str:
    """The whole module."""
    text = (ROOT / "docs/configuration.md").read_text()
    settings = text.partition("## Settings")[2].partition("\n## ")[0]
    return _HEAD + "".join(_entry(name, _plain(words)) for name, words in _ROW.findall(settings)) + "}\n"


def _plain(text: str) -> str:
    """Markdown without its marks."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text).replace("`", "")


def _entry(name: str, text: str) -> str:
    one_line = f'    "{name}": {_quoted(text)},'
    if len(one_line) <= _LINE:
        return f"{one_line}\n"
    # As the formatter has it: in brackets, and in one piece if it fits there.
    parts = [_quoted(part) for part in _parts(text, _LINE - 10)]
    return f'    "{name}": (\n' + "".join(f"        {part}\n" for part in parts) + "    ),\n"


def _quoted(text: str) -> str:
    """As the formatter writes it."""
    if '"' in text and "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _parts(text: str, width: int) -> Iterator[str]:
    """``text`` in pieces that fit into a line, each with its blank at the end."""
    while len(text) > width:
        cut = text.rindex(" ", 0, width) + 1
        yield text[:cut]
        text = text[cut:]
    yield text


if __name__ == "__main__":
    AIM.write_text(module())
