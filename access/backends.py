"""Passwords against the user table, and a user with roles in one query."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from access.models import User, UserRole


class PasswordBackend(ModelBackend):
    """Django's backend; ``get_user`` also brings ``role_names``, so that a request costs one query for both."""

    def get_user(self, user_id: int) -> User | None:
        """The active user with ``role_names``, or None: a disabled person's session ends at the next request."""
        roles = UserRole.objects.filter(user=OuterRef("pk")).order_by("role").values("role")
        return User.objects.filter(pk=user_id, is_active=True).annotate(role_names=ArraySubquery(roles)).first()

    def has_perm(self, *args: object, **kwargs: object) -> bool:
        """Nothing: rights come from ``access.roles``."""
        return False
