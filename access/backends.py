"""Passwords against the user table, and a user with roles in one query."""

from django.contrib.auth.backends import ModelBackend

from access.emergency_rule import running_of_people
from access.held_roles import rows_of_people
from access.models import User


class PasswordBackend(ModelBackend):
    """Django's backend; ``get_user`` also brings what each request asks of a person, so that it costs one query."""

    def get_user(self, user_id: int) -> User | None:
        """The active user with ``held_rows`` and ``running_emergencies``, or None: a disabled person's session ends at
        the next request.
        """
        brought = {"held_rows": rows_of_people(), "running_emergencies": running_of_people()}
        return User.objects.filter(pk=user_id, is_active=True).annotate(**brought).first()

    def has_perm(self, *args: object, **kwargs: object) -> bool:
        """Nothing: rights come from ``access.roles``."""
        return False
