"""Who asks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, a machine or the holder of a share link whose identity was proved for this request.

    ``id`` is the immutable external UUID of the User, Client or ShareLink; ``token_id`` a digest of the session or
    token, fit for the trail. People and machines have ``roles``, links have the ``rights`` of their grants.
    ``permissions`` are those that the token is limited to, None for all that the roles have; ``patient`` is the key of
    the only patient that the token reaches, None for no such limit.
    """

    kind: Literal["person", "client", "link"]
    id: str
    name: str
    roles: tuple[str, ...]
    auth_method: Literal["session", "oauth2", "link", "api_key", "jwt"]
    token_id: str
    rights: tuple[str, ...] = ()
    permissions: tuple[str, ...] | None = None
    patient: int | None = None
