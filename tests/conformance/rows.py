"""What a row of the table is written as."""

from __future__ import annotations

NOT_APPLICABLE = "n/a"

# Key and title of what is met; with a reason what is not; with NOT_APPLICABLE and a reason what need not be.
Row = tuple[str, str] | tuple[str, str, str] | tuple[str, str, str, str]
