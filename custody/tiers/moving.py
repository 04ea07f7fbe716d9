"""Objects move to the tier that the policy table says (``archive.tier_policy``): by command, or in their hours."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from archive import outbox
from archive.errors import ArchiveUnavailable
from archive.models import Instance, Representation, Series
from archive.object_store.errors import ObjectStoreError
from archive.object_store.marks import HOT, TIERS, tier_of
from archive.outbox import Wish
from archive.tier_policy import Subject, TierRow, choose, parse_row
from custody.tiers.holders import MOVABLE, Kept, kept
from custody.tiers.relocation import Moved, relocate

log = logging.getLogger("custody.tiers")

MOVE_OBJECTS: Final = "move_objects"
_INSTANCES, _REPRESENTATIONS = MOVABLE[0], MOVABLE[1]
_SERIES: Final = 200
# Seconds between two steps in the hours of moving.
_PAUSE: Final = 5.0
# Until it is looked again whether the hours have come.
_LATER: Final = 1800.0
_OPENED: Final = """
    SELECT uid, max(recorded_at) FROM audit_accessevent, unnest(study_uids) AS uid
    WHERE study_uids && %s AND kind IN ('retrieve', 'access', 'export') AND outcome = 0 GROUP BY uid
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """Of one object: where it is, what the table was asked, the row that fits, and where it goes by that."""

    kept: Kept
    sop_instance_uid: str
    subject: Subject
    row: TierRow
    tier: str
    wanted: str

    @property
    def moves(self) -> bool:
        """Whether it goes elsewhere."""
        return self.tier != self.wanted


def tiers_there() -> list[str]:
    """The tiers that are set up, hot first."""
    tiers = settings.PACS.tiers
    return [HOT, *(name for name in TIERS[1:] if getattr(tiers, name).there)]


def decisions(after: int = 0, series: Sequence[int] | None = None) -> Iterator[tuple[int, list[Decision]]]:
    """Series by series (primary keys above ``after``, or these): what the table says of each object."""
    rows = [parse_row(text) for text in settings.PACS.tiers.rows]
    there = tiers_there()
    by_opening = any(row.unopened.least is not None or row.unopened.below is not None for row in rows)
    while step := _step(after, series):
        opened = _opened({uid for _, _, uid, _ in step}) if by_opening else {}
        for pk, modality, uid, study_date in step:
            yield pk, [_decided(rows, there, row, modality, study_date, opened.get(uid)) for row in _objects(pk)]
        after = step[-1][0]


def move(decision: Decision) -> Moved:
    """Carry out one decision. Raises ``ObjectStoreError``."""
    return relocate(decision.kept, decision.wanted)


def first_step() -> Iterator[Wish]:
    """The wish of the relay, now and then."""
    if settings.PACS.tiers.hours and settings.PACS.tiers.rows:
        yield Wish(MOVE_OBJECTS, "0")


def move_in_hours(subject: str) -> None:
    """The task: a step of the way through all series while the hours last; ``subject`` is the last series done.

    Raises ``ArchiveUnavailable``.
    """
    hours = settings.PACS.tiers.hours
    if not in_hours(hours, timezone.localtime().hour):
        if hours:
            outbox.wish([Wish(MOVE_OBJECTS, subject, _LATER)])
        return
    done = int(subject)
    try:
        for count, (pk, found) in enumerate(decisions(done), 1):
            for decision in found:
                if decision.moves:
                    move(decision)
                    outbox.progress(MOVE_OBJECTS, subject)
            done = pk
            if count == _SERIES or not in_hours(hours, timezone.localtime().hour):
                outbox.wish([Wish(MOVE_OBJECTS, str(done), _PAUSE)])
                return
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the tiers can't be reached now") from error


def in_hours(hours: str, now: int) -> bool:
    """Whether ``now`` (an hour) lies in ``hours`` like 22-5, whose end is not in it; never in none."""
    if not hours:
        return False
    begin, end = (int(part) for part in hours.split("-"))
    return begin <= now < end if begin < end else now >= begin or now < end


def _step(after: int, series: Sequence[int] | None) -> list[tuple[int, str, str, str]]:
    rows = Series.objects.filter(pk__gt=after).order_by("pk")
    if series is not None:
        rows = rows.filter(pk__in=series)
    return list(rows.values_list("pk", "modality", "study__study_instance_uid", "study__study_date")[:_SERIES])


def _objects(series: int) -> Iterator[tuple[Kept, str, datetime]]:
    of_series = Instance.objects.filter(series=series).order_by("pk")
    about = {pk: (uid, at) for pk, uid, at in of_series.values_list("pk", "sop_instance_uid", "created_at")}
    for each in kept(_INSTANCES, of_series):
        if each.pk in about:  # not one that came this moment
            yield (each, *about[each.pk])
    made = Representation.objects.filter(instance__series=series).order_by("pk")
    of = dict(made.values_list("pk", "instance_id"))
    for each in kept(_REPRESENTATIONS, made):
        if of.get(each.pk) in about:
            yield (each, *about[of[each.pk]])


def _decided(
    rows: Sequence[TierRow],
    there: Sequence[str],
    found: tuple[Kept, str, datetime],
    modality: str,
    study_date: str,
    opened: datetime | None,
) -> Decision:
    each, uid, stored_at = found
    now = datetime.now(UTC)
    seen = max(opened, stored_at) if opened else stored_at
    subject = Subject(modality, (now.date() - _day(study_date, stored_at)).days, (now - seen).days, each.size)
    row, tier = choose(rows, subject), tier_of(each.key)
    wanted = row.tier if row.tier in there else tier
    return Decision(each, uid, subject, row, tier, wanted or tier)


def _day(study_date: str, stored_at: datetime) -> date:
    """The day of the study; that of storing it where there is none, or one to come."""
    try:
        day = datetime.strptime(study_date, "%Y%m%d").date()
    except ValueError:
        return stored_at.date()
    return min(day, stored_at.date())


def _opened(studies: set[str]) -> Mapping[str, datetime]:
    with connection.cursor() as cursor:
        cursor.execute(_OPENED, [sorted(studies)])
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return {uid: at for uid, at in found if uid in studies}
