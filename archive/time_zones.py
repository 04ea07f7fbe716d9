"""Dates and times of a query as a period of real time, where the query names its zone.

A query with Timezone Offset From UTC means its dates and times by that clock (PS3.4 C.4.1.1.3.1; PS3.18 8.3.4.1). A
study has an offset of its own, or the clock of the site (``PACS_TIME_ZONE``), or else whichever clock is asked by.
Without an offset in the query dates are compared as they are stored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, F, Func, Q, Value

from archive.errors import InvalidQuery

KEYWORD = "TimezoneOffsetFromUTC"
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-5][0-9])")
_LOWEST, _HIGHEST = -12 * 60, 14 * 60
# Length of a time -> how long it lasts: 10 is the whole hour.
_LASTS: Mapping[int, timedelta] = {
    0: timedelta(days=1),
    2: timedelta(hours=1),
    4: timedelta(minutes=1),
    6: timedelta(seconds=1),
}
_DAY = timedelta(days=1)
# From these days a zone and a day more or less lead nowhere beyond the ends of the calendar.
_EARLIEST, _LATEST = datetime(1, 1, 4), datetime(9999, 12, 28)


@dataclass(frozen=True, slots=True)
class Clock:
    """A date and a time as digits, either of which may be empty."""

    date: str = ""
    time: str = ""

    def first(self) -> datetime | None:
        """The moment at which it begins, ``None`` without a date. Raises ``InvalidQuery`` for a day that is none."""
        if not self.date:
            return None
        try:
            day = datetime.strptime(self.date, "%Y%m%d")  # a clock's, of no zone yet
        except ValueError as error:
            raise InvalidQuery("a date: there is no such day") from error
        day = min(max(day, _EARLIEST), _LATEST)
        hours, minutes, seconds = self.time[:2], self.time[2:4], self.time[4:]
        return day + timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0))

    def past(self) -> datetime | None:
        """The first moment after it."""
        first = self.first()
        return first and first + _LASTS.get(len(self.time), timedelta(microseconds=1))


def read_offset(text: str) -> timezone:
    """The zone that an offset names, ``+0100``; ``-1200`` to ``+1400`` (PS3.3 C.12.1.1.8). Raises ``InvalidQuery``.

    A space stands for the plus sign, which it is in a URL that was not percent-encoded.
    """
    found = _OFFSET.fullmatch(with_sign(text))
    minutes = int(found[1] + "1") * (int(found[2]) * 60 + int(found[3])) if found else None
    if minutes is None or not _LOWEST <= minutes <= _HIGHEST or text.strip() == "-0000":
        raise InvalidQuery(f"{KEYWORD}: expected an offset from -1200 to +1400 (the plus sign is %2B in a URL)")
    return timezone(timedelta(minutes=minutes))


def with_sign(text: str) -> str:
    """``text`` with the plus sign that a URL made a space."""
    return f"+{text.strip()}" if re.fullmatch(r" [0-9]{4}", text) else text.strip()


def site_zone(name: str) -> tzinfo | None:
    """The zone of the setting, which is checked when the process starts: an IANA name, an offset, or nothing."""
    if not name:
        return None
    return read_offset(name) if name[0] in "+-" else ZoneInfo(name)


def period(first: Clock, last: Clock, zone: tzinfo, site: tzinfo | None, paths: tuple[str, str, str]) -> Q:
    """The condition that a stored date and time overlap the period from ``first`` to ``last`` by the clock of ``zone``.

    ``paths`` lead to the date, the time and the offset of a row. An open end has no date. A stored date without a time
    is its whole day. Raises ``InvalidQuery``.
    """
    date_path, time_path, offset_path = paths
    # Beyond these nothing lies that has a zone; they can't be moved across the ends of the calendar.
    low = _in(first.first(), zone) if first.date >= "0002" else None
    high = _in(last.past(), zone) if last.date < "9999" else None
    # The index finds the days on which it can be anywhere on earth; those within on which it must be need no more.
    days = Q(**{f"{date_path}__gt": ""})
    surely = Q(**{f"{date_path}__gt": ""})
    if low is not None:
        days &= Q(**{f"{date_path}__gte": _digits(low, -_DAY)})
        surely &= Q(**{f"{date_path}__gt": _digits(low, _DAY)})
    if high is not None:
        days &= Q(**{f"{date_path}__lte": _digits(high, _DAY)})
        surely &= Q(**{f"{date_path}__lt": _digits(high, -_DAY)})
    here = site or zone
    bounds = [_naive(low, UTC), _naive(high, UTC), _naive(low, here), _naive(high, here)]
    exactly = Func(
        F(date_path),
        F(time_path),
        F(offset_path),
        *(Func(Value(bound and bound.isoformat()), template="%(expressions)s::timestamp") for bound in bounds),
        function="archive_overlaps",
        output_field=BooleanField(),
    )
    return days & (surely | Q(exactly))


def _in(moment: datetime | None, zone: tzinfo) -> datetime | None:
    return moment and moment.replace(tzinfo=zone)


def _naive(moment: datetime | None, zone: tzinfo) -> datetime | None:
    """What the clock of ``zone`` shows at ``moment``."""
    return moment and moment.astimezone(zone).replace(tzinfo=None)


def _digits(moment: datetime, by: timedelta) -> str:
    """The day in UTC, moved, as digits."""
    day = moment.astimezone(UTC) + by
    return f"{day.year:04}{day.month:02}{day.day:02}"
