"""The newest of many: the same as of all of them, whatever order they were recorded in."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from audit.models import AccessEvent
from audit.newest import last_before, newest
from audit.partitions import make_ahead
from tests.audit.test_partitions import record_at

pytestmark = pytest.mark.django_db
NOW = datetime(2040, 6, 20, tzinfo=UTC)


def both(count: int, at: datetime = NOW) -> tuple[list[int], list[int], int]:
    """By both ways, and how many queries the short one took."""
    events = AccessEvent.objects.filter(study_uids__overlap=["1.2.3"]).order_by((F("sequence") + 0).desc())
    with CaptureQueriesContext(
        connection,
    ) as queries:
        short = [event.pk for event in newest(events, count, at)]
    return short, [event.pk for event in events[:count]], len(queries)


@pytest.fixture(autouse=True)
def months() -> None:
    make_ahead(date(2040, 1, 1))
    make_ahead(date(2040, 4, 1))


def test_of_somebody_busy_the_last_month_is_enough() -> None:
    record_at(*[NOW - timedelta(days=day) for day in range(100, 0, -5)], *[NOW - timedelta(hours=h) for h in (9, 5, 1)])
    short, whole, queries = both(3)
    assert (short, queries) == (whole, 3), "one for the month, two for what older months have"


@pytest.mark.parametrize("count", [1, 5, 12, 24, 100])
def test_of_anybody_it_is_the_same(count: int) -> None:
    record_at(*[NOW - timedelta(days=day) for day in range(100, 0, -5)], *[NOW - timedelta(hours=h) for h in (9, 5, 1)])
    short, whole, _ = both(count)
    assert short == whole


def test_an_event_of_a_long_transaction_is_not_left_out() -> None:
    """It began in May and got its sequence in June, after others."""
    record_at(datetime(2040, 6, 1, 0, 0, 1, tzinfo=UTC), datetime(2040, 6, 1, 0, 0, 2, tzinfo=UTC))
    record_at(datetime(2040, 5, 31, 23, 59, 59, tzinfo=UTC))
    for count in (1, 2, 3):
        short, whole, _ = both(count)
        assert short == whole


def test_what_has_no_month_is_asked_as_well() -> None:
    record_at(datetime(2040, 6, 2, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC), datetime(2039, 1, 1, tzinfo=UTC))
    short, whole, _ = both(1)
    assert short == whole
    assert last_before(datetime(2040, 6, 1, tzinfo=UTC)) == whole[0]
