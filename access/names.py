"""Names of people and clients: whatever their case, each is there once, and never free again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from access.models import Client, User
from access.refused_change import NameTaken

TAKEN = "this name is taken, or was once"


def people_called(username: str) -> QuerySet[User]:
    """Whoever has this name to sign in with, in whatever case."""
    return User.objects.filter(username__iexact=username)


def clients_called(name: str) -> QuerySet[Client]:
    """The client of this name, in whatever case."""
    found: QuerySet[Client] = Client.objects.filter(name__iexact=name)
    return found


@contextmanager
def once_only(holders: QuerySet[Any], text: str = TAKEN) -> Iterator[None]:
    """Make something inside, of which there is one. Raises NameTaken if there are ``holders``, also where somebody else
    makes it at the same time.
    """
    if holders.exists():
        raise NameTaken(text)
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if holders.all().exists():
            raise NameTaken(text) from error
        raise
