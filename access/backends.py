"""Passwords against the user table, and a user with roles in one query."""

from typing import Any, Final

from django.contrib.auth.backends import ModelBackend
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from access.emergency_rule import running_of_people
from access.held_roles import rows_of_people
from access.models import User
from archive.ready_query import ReadyQuery

_COLUMNS: Final = tuple(field.attname for field in User._meta.concrete_fields)


def _of_key(user_id: int) -> QuerySet[Any, Any]:
    brought = {"held_rows": rows_of_people(), "running_emergencies": running_of_people()}
    active: QuerySet[Any, Any] = User.objects.filter(pk=user_id, is_active=True).annotate(**brought)
    return active.values(*_COLUMNS, *brought)


_OF_KEY: Final = ReadyQuery(_of_key)


class PasswordBackend(ModelBackend):
    """Django's backend; ``get_user`` also brings what each request asks of a person, so that it costs one query."""

    def get_user(self, user_id: int) -> User | None:
        """The active user with ``held_rows`` and ``running_emergencies``, or None: a disabled person's session ends at
        the next request.
        """
        found = _OF_KEY.first(user_id)
        if found is None:
            return None
        user = User.from_db(DEFAULT_DB_ALIAS, _COLUMNS, [found[name] for name in _COLUMNS])
        user.held_rows, user.running_emergencies = found["held_rows"], found["running_emergencies"]  # type: ignore[attr-defined]
        return user

    def has_perm(self, *args: object, **kwargs: object) -> bool:
        """Nothing: rights come from ``access.roles``."""
        return False
