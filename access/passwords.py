"""Passwords made for people to type once."""

import secrets
from typing import Final

# No letters or digits that look alike.
ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
GROUPS: Final = 5
GROUP_LENGTH: Final = 5


def generate_password() -> str:
    """A random password of 125 bits: five groups of five, 29 characters with the hyphens."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
