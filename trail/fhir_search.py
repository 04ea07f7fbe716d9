"""The parameters of a FHIR search for AuditEvents (R4 3.1.1, IHE ITI-81), and the tokens of its pages."""

import base64
import calendar
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db.models import Q

from audit.kinds import KINDS
from trail.filters import Filter

DEFAULT_COUNT: Final = 50
MOST: Final = 1_000
_MOMENT: Final = re.compile(
    r"(?P<prefix>eq|ge|gt|le|lt|sa|eb)?(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.\d{1,6})?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_CODES: Final = {"action": set("CRUDE"), "outcome": {"0", "4", "8", "12"}}


class BadSearch(Exception):
    """What is asked can't be understood. The text says what, and quotes no value."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search: a filter, what it has no field for, how many a page, and the sequence before which the page begins."""

    wanted: Filter
    more: Q
    count: int
    before: int | None
    asked: dict[str, list[str]]

    def page(self, before: int | None) -> str:
        """The token of a page of this search. It is opaque, so that no patient stands in the addresses we make."""
        text = json.dumps({"asked": self.asked, "before": before})
        return _box().encrypt(text.encode()).decode()


def parsed(given: Mapping[str, Sequence[str]]) -> Search:
    """The search that these parameters ask for. Raises BadSearch."""
    asked = {name: list(values) for name, values in given.items() if name != "_format"}
    before = None
    if "_page" in asked:
        asked, before = _opened(asked["_page"][0])
    search = Search(Filter(), Q(), DEFAULT_COUNT, before, asked)
    for name, values in asked.items():
        take = PARAMETERS.get(name)
        if take is None:
            raise BadSearch(f"there is no parameter {name[:40]!r}")
        for value in values:
            if "\0" in value:
                raise BadSearch(f"{name}: a character that no value has")
            search = take(search, value.strip())
    return search


def _patient(search: Search, value: str) -> Search:
    """``Patient/ID``, ``ID`` or ``issuer|ID``."""
    issuer, bar, patient = value.removeprefix("Patient/").rpartition("|")
    return _with(search, patient=_said("patient", patient), issuer=issuer if bar else "")


def _agent(search: Search, value: str) -> Search:
    return _with(search, who=_said("agent", value.rpartition("|")[2].rpartition("/")[2]))


def _study(search: Search, value: str) -> Search:
    uid = unquote(value.rpartition("|")[2].removeprefix("ImagingStudy/").removeprefix("urn:oid:"))
    return _with(search, subject=_said("study", uid))


def _date(search: Search, value: str) -> Search:
    found = _MOMENT.fullmatch(value)
    if found is None:
        raise BadSearch("date: expected a FHIR date, with eq, ge, gt, le, lt, sa or eb before it")
    try:
        begins, ends = _span(found)
    except (ValueError, OverflowError) as error:
        raise BadSearch("date: there is no such time") from error
    wanted = search.wanted
    since = {"ge": begins, "gt": ends, "sa": ends, "eq": begins}.get(found["prefix"] or "eq")
    until = {"le": ends, "lt": begins, "eb": begins, "eq": ends}.get(found["prefix"] or "eq")
    if since is not None:
        wanted = replace(wanted, since=max(since, wanted.since or since))
    if until is not None:
        wanted = replace(wanted, until=min(until, wanted.until or until))
    return replace(search, wanted=wanted)


def _span(found: re.Match[str]) -> tuple[datetime, datetime]:
    """The first moment of a time as precise as it is, and the first one after it."""
    year, month, day = int(found["year"]), int(found["month"] or 1), int(found["day"] or 1)
    if found["hour"] is None:
        begins = datetime(year, month, day, tzinfo=UTC)
        months = 12 if found["month"] is None else 1
        days = sum(calendar.monthrange(year, number)[1] for number in range(month, month + months))
        return begins, begins + timedelta(days=1 if found["day"] else days)
    zone = (found["zone"] or "Z").replace("Z", "+00:00")
    seconds = int(found["second"] or 0)
    begins = datetime.fromisoformat(
        f"{year:04}-{month:02}-{day:02}T{found['hour']}:{found['minute']}:{seconds:02}{zone}"
    )
    return begins, begins + timedelta(seconds=1 if found["second"] else 60)


def _code(name: str) -> Callable[[Search, str], Search]:
    def take(search: Search, value: str) -> Search:
        codes = value.split(",")
        if not set(codes) <= _CODES[name]:
            raise BadSearch(f"{name}: expected one of {', '.join(sorted(_CODES[name]))}")
        return replace(search, more=search.more & Q(**{f"{name}__in": codes}))

    return take


def _type(search: Search, value: str) -> Search:
    """``system|code`` or ``code`` of the DICOM event or its type."""
    code = value.rpartition("|")[2]
    kinds = [kind.name for kind in KINDS.values() if code and code in (kind.event_id, kind.type_code)]
    if not kinds:
        raise BadSearch("type: expected the DICOM code of an event")
    return replace(search, more=search.more & Q(kind__in=kinds))


def _identity(search: Search, value: str) -> Search:
    return replace(search, more=search.more & (Q(pk=int(value)) if is_id(value) else Q(pk__in=[])))


def _count(search: Search, value: str) -> Search:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise BadSearch("_count: expected a number")
    return replace(search, count=max(1, min(int(value), MOST)))


def _sort(search: Search, value: str) -> Search:
    if value != "-date":
        raise BadSearch("_sort: only -date, newest first")
    return search


def is_id(text: str) -> bool:
    """Whether ``text`` may be the id of an AuditEvent, which is a sequence."""
    return text.isascii() and text.isdigit() and len(text) < 19


PARAMETERS: Final[Mapping[str, Callable[[Search, str], Search]]] = {
    "_count": _count,
    "_id": _identity,
    "_sort": _sort,
    "action": _code("action"),
    "address": _agent,
    "agent": _agent,
    "agent-name": _agent,
    "agent.identifier": _agent,
    "date": _date,
    "entity": _study,
    "entity.identifier": _study,
    "outcome": _code("outcome"),
    "patient": _patient,
    "patient.identifier": _patient,
    "study": _study,
    "subtype": _type,
    "type": _type,
}


def _with(search: Search, **fields: Any) -> Search:
    taken = [name for name, value in fields.items() if value and getattr(search.wanted, name)]
    if taken:
        raise BadSearch(f"{taken[0]}: asked twice")
    return replace(search, wanted=replace(search.wanted, **fields))


def _said(name: str, value: str) -> str:
    if not value or len(value) > 200 or "\0" in value:
        raise BadSearch(f"{name}: expected a value of 1 to 200 characters")
    return value


def _opened(token: str) -> tuple[dict[str, list[str]], int | None]:
    try:
        found = json.loads(_box().decrypt(token.encode()))
    except (InvalidToken, ValueError) as error:
        raise BadSearch("_page: not a page of ours") from error
    return found["asked"], found["before"]


def _box() -> Fernet:
    secret: str = settings.SECRET_KEY
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"pages of the trail" + secret.encode()).digest()))
