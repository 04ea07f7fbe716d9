"""Guessing is slow: so many failures for a name from an address, and for an address, within a window."""

import math
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone
from django.utils.crypto import salted_hmac

from access.models import SignInAttempt

WINDOW = timedelta(minutes=15)
PER_NAME = 10
PER_ADDRESS = 100


class TooManyAttempts(Exception):
    """Too many failures; ``retry_after`` seconds from now the oldest is forgotten."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many failed sign-ins")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that counts as a failure until it is forgiven."""

    name_key: str
    rows: tuple[int, ...]


def attempt(name: str, address: str) -> Attempt:
    """Count an attempt before it is decided, so that many at once can't slip through; raises TooManyAttempts.

    Names are counted whether they exist or not. An attempt that is refused here doesn't lengthen the wait.
    """
    return _count({_key("name", name.casefold(), address): PER_NAME, _key("address", address): PER_ADDRESS})


def attempt_second_factor(person: str, address: str) -> Attempt:
    """Count an attempt to show a second factor, of a person who has shown the password; raises TooManyAttempts.

    Counted from all addresses together: whoever has the password gets no more tries from many machines.
    """
    return _count({_key("second factor", person): PER_NAME, _key("address", address): PER_ADDRESS})


def _count(limits: dict[str, int]) -> Attempt:
    """``limits`` are the keys, the one of the name first, with how many attempts each may have."""
    now = timezone.now()
    forget_old()
    rows = tuple(row.pk for row in SignInAttempt.objects.bulk_create(SignInAttempt(key=key) for key in limits))
    counts = SignInAttempt.objects.filter(key__in=limits).values("key").annotate(count=Count("pk"), oldest=Min("at"))
    waits = [entry["oldest"] + WINDOW - now for entry in counts if entry["count"] > limits[entry["key"]]]
    if waits:
        SignInAttempt.objects.filter(pk__in=rows).delete()
        raise TooManyAttempts(max(1, math.ceil(max(waits).total_seconds())))
    return Attempt(next(iter(limits)), rows)


def forgive(attempt: Attempt) -> None:
    """The attempt succeeded: it and the earlier failures of that name from that address no longer count."""
    SignInAttempt.objects.filter(key=attempt.name_key).delete()
    SignInAttempt.objects.filter(pk__in=attempt.rows).delete()


def locked_names() -> int:
    """How many names, each from one address, get no further attempt now; an address of many failures counts as one."""
    counted = SignInAttempt.objects.filter(at__gte=timezone.now() - WINDOW).values("key").annotate(count=Count("pk"))
    return counted.filter(count__gte=PER_NAME, count__lt=PER_ADDRESS).count()


def forget_old() -> None:
    """Remove what no longer counts."""
    SignInAttempt.objects.filter(at__lt=timezone.now() - WINDOW).delete()


def _key(*parts: str) -> str:
    return salted_hmac("access.throttle", "\0".join(parts), algorithm="sha256").hexdigest()
