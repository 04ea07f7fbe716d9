"""Elements that were converted before: the slices of a series share most of theirs.

A memo maps the raw bytes of an element, header included, to what they become. Coding and character set choose the
memo, because the same bytes mean something else under another. It is bounded, shared by the threads of a process and
never needed: it may be emptied at any time.
"""

from __future__ import annotations

from dicom.charsets import CharacterSet

# The JSON fragment ("" if the element has no place in it) and, for elements the index or the frames need, the text
Entry = tuple[bytes, str]
Memo = dict[bytes, Entry]

MAX_MEMOS = 32
MAX_ENTRIES = 8192

_memos: dict[tuple[str, tuple[str, ...]], Memo] = {}


def memo_for(coding: str, characters: CharacterSet) -> Memo:
    """The memo of one coding and character set."""
    key = (coding, characters.terms)
    memo = _memos.get(key)
    if memo is None:
        if len(_memos) >= MAX_MEMOS:
            _memos.clear()
        memo = _memos.setdefault(key, {})
    return memo


def trim(memo: Memo) -> None:
    """Empty a memo that has grown beyond its bound."""
    if len(memo) > MAX_ENTRIES:
        memo.clear()
