"""Days as forms ask for them."""

from datetime import date, datetime, time

from django.utils import timezone


def end_of(day: date) -> datetime:
    """The last moment of a day, by the clock of the house."""
    return timezone.make_aware(datetime.combine(day, time.max))
