"""Sessions in the database: their keys are looked up only if they look like one, and stored as digests alone."""

import re
from datetime import datetime
from typing import Any, Final

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from access.authentication import digest
from access.session_models import PersonSession
from archive.ready_query import ReadyQuery

KEY = re.compile(r"[a-z0-9]{32}")


def _of_digest(digested: str, now: datetime) -> QuerySet[Any, Any]:
    return Session.objects.filter(pk=digested, expire_date__gt=now).values("session_data")


_OF_DIGEST: Final = ReadyQuery(_of_digest)


class SessionStore(db.SessionStore):
    """Whoever reads the table can't use a session: the cookie has the key, the table the digest that the trail has."""

    def exists(self, session_key: str) -> bool:
        """Whether a session of this key is stored."""
        return super().exists(digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """The row, under the digest."""
        row = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """Remove the session of this key, or this one."""
        key = session_key or self.session_key
        if key:
            Session.objects.filter(pk=digest(key)).delete()

    def cycle_key(self) -> None:
        """A new key for the same data; the session stays that of its person."""
        before, data = self.session_key, self._session  # type: ignore[attr-defined]
        self.create()
        self._session_cache = data
        if before and self.session_key:
            PersonSession.objects.filter(session_id=digest(before)).update(session_id=digest(self.session_key))
            self.delete(before)

    def load(self) -> dict[str, Any]:
        """The data of the session of this key; without one the key is forgotten."""
        found = _OF_DIGEST.first(digest(self.session_key or ""), timezone.now())
        if found is None:
            self._session_key = None
            return {}
        data: dict[str, Any] = self.decode(found["session_data"])
        return data

    def _validate_session_key(self, key: str | None) -> bool:
        """A cookie may hold any bytes; a NUL among them is an error of the database, for anybody who sends it."""
        return bool(key) and KEY.fullmatch(key or "") is not None
