"""Who asks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a machine whose identity was proved for this request.

    ``id`` is the immutable external UUID of the User or Client; ``token_id`` a digest of the session or token, fit for
    the trail.
    """

    kind: Literal["person", "client"]
    id: str
    name: str
    roles: tuple[str, ...]
    auth_method: Literal["session", "oauth2"]
    token_id: str
