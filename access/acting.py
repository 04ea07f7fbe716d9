"""Who changes something: somebody with a request, or the command line; their events name them."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest

from access.models import User
from access.principal import Principal
from access.trail import event, system_event
from audit.kinds import EventKind
from audit.record import NewAccessEvent


@dataclass(frozen=True, slots=True)
class Acting:
    """The request and the principal behind a change; both None on the command line."""

    request: HttpRequest | None = None
    principal: Principal | None = None

    def event(self, kind: EventKind, description: str, **fields: Any) -> NewAccessEvent:
        """An event of this change; ``fields`` are further ones of NewAccessEvent."""
        if self.request is None:
            return system_event(kind, description, **fields)
        return event(self.request, kind, self.principal, outcome_description=description, **fields)

    @property
    def user(self) -> User | None:
        """The person who acts; None for a machine and the command line."""
        if self.principal is None or self.principal.kind != "person":
            return None
        return User.objects.filter(external_id=self.principal.id).first()

    @property
    def name(self) -> str:
        """What people call whoever acts."""
        return self.principal.name if self.principal else "command line"

    def is_account(self, external_id: object) -> bool:
        """True if whoever acts is this person or client."""
        return self.principal is not None and self.principal.id == str(external_id)


COMMAND_LINE: Final = Acting()
