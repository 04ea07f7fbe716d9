"""When a client that is refused for now should come again: not all of them at the same moment."""

import random
from typing import Final

LEAST_SECONDS: Final = 3
MOST_SECONDS: Final = 9


def retry_after() -> str:
    """``Retry-After`` (RFC 9110 10.2.3) in whole seconds, spread by chance so that a crowd doesn't come back as one."""
    return str(random.randint(LEAST_SECONDS, MOST_SECONDS))  # noqa: S311 - spreads clients, guards nothing
