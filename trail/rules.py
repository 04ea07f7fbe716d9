"""What is unusual: a table of named rules, each a question to the part of the trail before a moment."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Count, F, Func, Max, Min, Q, QuerySet, TextField

from access.models import User
from access.restriction_models import Restriction
from archive.models import Study
from archive.names import fold
from audit.kinds import ACCESS, KINDS, RETRIEVE, SIGN_IN_FAILED
from audit.models import AccessEvent

# Exports (PS3.15 A.5.3.4) are reads as well.
READS: Final = (RETRIEVE.name, ACCESS.name, *(kind.name for kind in KINDS.values() if kind.event_id == "110106"))
NIGHT_BEGINS, NIGHT_ENDS = 22, 6
NAMED_STUDIES: Final = 20
MOST_PAIRS: Final = 20_000
_OVERRIDE: Final = "110127"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found of one principal; ``study_uids`` are some of the studies, ``count`` of what the rule counts."""

    principal_kind: str
    principal_id: str
    principal_name: str
    count: int
    since: datetime
    until: datetime
    study_uids: tuple[str, ...] = ()
    source_ip: str | None = None


Find = Callable[["Rule", datetime], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: ``find`` looks at the ``window`` before a moment, and after an alert is quiet about the same principal.

    ``text`` has ``{count}``. It speaks again within that time when there are studies (``again="study"``) or events
    (``again="event"``) that it has not spoken of.
    """

    name: str
    title: str
    text: str
    window: timedelta
    quiet: timedelta
    find: Find
    threshold: int = 0
    again: Literal["", "study", "event"] = ""

    def describe(self, finding: Finding) -> str:
        """What was found, in plain words and without anybody's name."""
        return self.text.format(count=finding.count)


def many_studies(rule: Rule, now: datetime) -> Iterator[Finding]:
    """More than ``threshold`` studies opened by one principal."""
    yield from _pairs(_reads(rule, now), rule.threshold)


def at_night(rule: Rule, now: datetime) -> Iterator[Finding]:
    """More than ``threshold`` studies opened by one person, between ten in the evening and six in the morning."""
    hour = now.astimezone(_zone()).hour
    if hour >= NIGHT_BEGINS or hour < NIGHT_ENDS:
        yield from _pairs(_reads(rule, now).filter(principal_kind="person"), rule.threshold)


def many_refusals(rule: Rule, now: datetime) -> Iterator[Finding]:
    """``threshold`` or more refusals and failed sign-ins of one principal from whatever addresses, or from one address
    of nobody or about several: passwords are also tried by going through the names."""
    refused = _recent(rule, now).filter(Q(decision="deny") | Q(kind=SIGN_IN_FAILED.name))
    yield from _by_address(refused.filter(Q(principal_id="") | Q(kind=SIGN_IN_FAILED.name)), rule.threshold)
    yield from _by_principal(refused, rule.threshold)


def restricted(rule: Rule, now: datetime) -> Iterator[Finding]:
    """Studies opened that carry a mark (VIP, restricted, consent withdrawn), or whose patient does."""
    events = _reads(rule, now)
    marked = Restriction.objects.active()
    opened = {uid for row in _pairs(events) for uid in row.study_uids}
    studies = Study.objects.filter(
        Q(patient__in=marked.filter(patient__isnull=False).values("patient"))
        | Q(study_instance_uid__in=marked.exclude(study_instance_uid="").values("study_instance_uid")),
        study_instance_uid__in=opened,
    )
    yield from _of_studies(events, set(studies.values_list("study_instance_uid", flat=True)))


def same_surname(rule: Rule, now: datetime) -> Iterator[Finding]:
    """Studies opened by a person who has the patient's family name."""
    people = list(_pairs(_reads(rule, now).filter(principal_kind="person")))
    ids = {row.principal_id for row in people if _is_uuid(row.principal_id)}
    surnames = {
        str(external_id): fold(last_name)
        for external_id, last_name in User.objects.filter(external_id__in=ids)
        .exclude(last_name="")
        .values_list("external_id", "last_name")
    }
    opened = {uid for row in people if row.principal_id in surnames for uid in row.study_uids}
    families = dict(
        Study.objects.filter(study_instance_uid__in=opened).values_list("study_instance_uid", "patient__patient_name")
    )
    for row in people:
        wanted = surnames.get(row.principal_id)
        if wanted:
            yield from _with(row, {uid for uid in row.study_uids if wanted in _family_names(families.get(uid, ""))})


def emergencies(rule: Rule, now: datetime) -> Iterator[Finding]:
    """Every emergency access that began."""
    kinds = [kind.name for kind in KINDS.values() if kind.type_code == _OVERRIDE]
    yield from _by_principal(_recent(rule, now).filter(kind__in=kinds), 1)


def _recent(rule: Rule, now: datetime) -> QuerySet[AccessEvent]:
    return AccessEvent.objects.filter(recorded_at__gte=now - rule.window, recorded_at__lte=now)


def _reads(rule: Rule, now: datetime) -> QuerySet[AccessEvent]:
    return _recent(rule, now).filter(kind__in=READS, decision="allow")


def _by_address(events: QuerySet[AccessEvent], threshold: int) -> Iterator[Finding]:
    """Each address with ``threshold`` events or more that are not all about one principal."""
    groups: QuerySet[Any, Any] = (
        events.values("source_ip")
        .annotate(
            count=Count("sequence"), since=Min("recorded_at"), until=Max("recorded_at"),
            about=Count("principal_id", distinct=True), last=Max("principal_id"),
        )
        .filter(Q(about__gt=1) | Q(last=""), count__gte=threshold)
        .order_by("source_ip")
    )  # fmt: skip
    for row in groups:
        # Without an identity the name is what somebody typed.
        yield Finding("anonymous", "", "", row["count"], row["since"], row["until"], source_ip=row["source_ip"])


def _by_principal(events: QuerySet[AccessEvent], threshold: int) -> Iterator[Finding]:
    """Each principal with ``threshold`` events or more; with the address if there is only one."""
    groups: QuerySet[Any, Any] = (
        events.exclude(principal_id="")
        .values("principal_id")
        # A failed sign-in is anonymous: of a person's other events the kind says more.
        .annotate(
            count=Count("sequence"), since=Min("recorded_at"), until=Max("recorded_at"), kind_of=Max("principal_kind"),
            name=Max("principal_name"), first=Min("source_ip"), last=Max("source_ip"),
        )
        .filter(count__gte=threshold)
        .order_by("principal_id")
    )  # fmt: skip
    for row in groups:
        yield Finding(
            row["kind_of"],
            row["principal_id"],
            row["name"],
            row["count"],
            row["since"],
            row["until"],
            source_ip=row["last"] if row["first"] == row["last"] else None,
        )


def _pairs(events: QuerySet[AccessEvent], threshold: int = 0) -> Iterator[Finding]:
    """Who opened how many different studies in ``events``: those of more than ``threshold``.

    Named are all studies without a threshold, up to ``MOST_PAIRS``, and else some.
    """
    opened = events.annotate(uid=Func(F("study_uids"), function="unnest", output_field=TextField()))
    columns = ("principal_kind", "principal_id", "principal_name", "recorded_at", "uid")
    inner, parameters = opened.values(*columns).query.sql_with_params()
    shown = NAMED_STUDIES if threshold else MOST_PAIRS
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT principal_kind, principal_id, max(principal_name), count(DISTINCT uid), min(recorded_at), "  # noqa: S608
            f"max(recorded_at), (array_agg(DISTINCT uid))[1:{shown}] FROM ({inner}) opened "
            "GROUP BY 1, 2 HAVING count(DISTINCT uid) > %s ORDER BY 1, 2",
            [*parameters, threshold],
        )
        for *who, count, since, until, uids in cursor.fetchall():
            yield Finding(who[0], who[1], who[2], count, since, until, tuple(uids))


def _of_studies(events: QuerySet[AccessEvent], study_uids: set[str]) -> Iterator[Finding]:
    if study_uids:
        for row in _pairs(events.filter(study_uids__overlap=sorted(study_uids))):
            yield from _with(row, study_uids.intersection(row.study_uids))


def _with(row: Finding, study_uids: set[str]) -> Iterator[Finding]:
    if study_uids:
        named = tuple(sorted(study_uids))
        yield Finding(
            row.principal_kind, row.principal_id, row.principal_name, len(named), row.since, row.until,
            named[:NAMED_STUDIES],
        )  # fmt: skip


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _family_names(patient_name: str) -> set[str]:
    """The family names of a person name in all of its groups (PS3.5 6.2.1.1), folded."""
    return {fold(group.split("^")[0].strip()) for group in patient_name.split("=")} - {""}


def _zone() -> timezone | ZoneInfo:
    """The clock of this house."""
    name: str = settings.PACS.time_zone
    if name[:1] in ("+", "-"):
        offset = timedelta(hours=int(name[1:3]), minutes=int(name[3:5]))
        return timezone(-offset if name[0] == "-" else offset)
    return ZoneInfo(name) if name else UTC


_MINUTES: Final = timedelta(minutes=1)
RULES: Final = (
    Rule("many_studies", "Very many studies", "{count} studies opened within five minutes", 5 * _MINUTES,
         60 * _MINUTES, many_studies, threshold=200),
    Rule("restricted", "A closed record opened", "{count} studies opened that are marked VIP or restricted",
         5 * _MINUTES, 24 * 60 * _MINUTES, restricted, again="study"),
    Rule("same_surname", "Same family name", "{count} studies opened of patients who have the reader's family name",
         5 * _MINUTES, 24 * 60 * _MINUTES, same_surname, again="study"),
    Rule("night", "Many studies at night", "{count} studies opened within an hour of the night", 60 * _MINUTES,
         8 * 60 * _MINUTES, at_night, threshold=20),
    Rule("refusals", "Many refusals", "{count} requests or sign-ins refused within ten minutes", 10 * _MINUTES,
         60 * _MINUTES, many_refusals, threshold=20),
    Rule("emergency", "Emergency access", "emergency access began ({count} within five minutes)", 5 * _MINUTES,
         60 * _MINUTES, emergencies, again="event"),
)  # fmt: skip
BY_NAME: Final = {rule.name: rule for rule in RULES}
