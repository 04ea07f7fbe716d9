"""Passwords that are long and still guessed first: a short one said several times, and rows of letters or digits."""

from itertools import pairwise

from django.core.exceptions import ValidationError

from access.models import User


class NotGuessable:
    """A validator of Django's; the list of common passwords has few of 15 characters (NIST SP 800-63B 3.1.1.2)."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError."""
        plain = password.casefold()
        steps = {ord(after) - ord(before) for before, after in pairwise(plain)}
        if (plain + plain).find(plain, 1) < len(plain) or (len(steps) == 1 and steps <= {-1, 0, 1}):
            raise ValidationError("This password repeats itself, or is a row of letters or digits.", "guessable")

    def get_help_text(self) -> str:
        """What the command line says."""
        return "Your password can't be a shorter one repeated, nor a row of letters or digits."
