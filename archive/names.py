"""Person names made comparable: one key for case-, accent- and group-insensitive matching (PS3.4 C.2.2.2.1)."""

import unicodedata

# Japanese voicing marks change the letter, not its accent.
_KEPT_MARKS = frozenset("\u3099\u309a")
# Letters whose stroke or ligature Unicode doesn't decompose.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"})


def fold(text: str) -> str:
    """``text`` in lower case without accents or doubled spaces; wildcards and ``^`` and ``=`` stay."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(c for c in decomposed if c in _KEPT_MARKS or not unicodedata.combining(c))
    return " ".join(unicodedata.normalize("NFC", bare).casefold().translate(_PLAIN).split())


def groups(name: str) -> list[str]:
    """The folded component groups that are not empty, trailing empty components dropped.

    So ``DOE^JOHN^^^`` equals ``Doe^John``. The names of a value with several are taken as groups of one.
    """
    folded = (fold(group).rstrip("^ ") for group in name.replace("\\", "=").split("="))
    return [group for group in folded if group]


# Three groups of 64 characters are what PN allows (PS3.5 6.2); an index of PostgreSQL takes 2,704 bytes.
LONGEST_KEY = 512


def name_key(name: str) -> str:
    """The search key of a stored name: its groups between ``=``, e.g. ``=yamada^tarou=山田^太郎=``. Empty for none."""
    filled = groups(name)
    return f"={'='.join(filled)[:LONGEST_KEY]}=" if filled else ""
