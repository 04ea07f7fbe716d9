"""What a UID looks like (PS3.5 9.1), the same wherever one comes in."""

from __future__ import annotations

import re

# Components of digits, single dots between them, at most 64 characters. Leading zeros are not legal, but frequent.
# The look-ahead is also true in the middle of a longer text, such as a URL.
UID_PATTERN = r"(?=[0-9.]{1,64}(?![0-9.]))[0-9]+(?:\.[0-9]+)*"

_UID = re.compile(UID_PATTERN)


def is_uid(text: str) -> bool:
    """Whether the whole text is one UID."""
    return _UID.fullmatch(text) is not None
