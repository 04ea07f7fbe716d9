"""Who asks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, a machine or the holder of a share link whose identity was proved for this request.

    ``id`` is the immutable external UUID of the User, Client or ShareLink; ``token_id`` a digest of the session or
    token, fit for the trail. People and machines have ``roles``, links have the ``rights`` of their grants.
    """

    kind: Literal["person", "client", "link"]
    id: str
    name: str
    roles: tuple[str, ...]
    auth_method: Literal["session", "oauth2", "link"]
    token_id: str
    rights: tuple[str, ...] = ()
