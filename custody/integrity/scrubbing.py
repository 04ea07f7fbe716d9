"""The scrub: a look at every instance, in the order of their keys, and at what is made from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from archive.errors import ArchiveUnavailable
from archive.models import Representation
from archive.sweep import sweep_all
from custody.integrity import findings
from custody.integrity.examining import Row, rows
from custody.integrity.looking import NOT_HERE, TIER_AWAY, Looked, look, look_at_representation
from custody.integrity.models import Kind, Lap

STEP = 200
MOST_IN_A_ROW = 200


@dataclass(slots=True)
class Tally:
    """What a scrub has seen so far."""

    objects: int = 0
    bytes: int = 0
    skipped: int = 0
    away: int = 0
    orphans: int = 0
    made_again: int = 0
    wrong: list[Looked] = field(default_factory=list)
    _unreadable: int = 0

    def add(self, looked: Looked) -> None:
        """One more. Raises ``ArchiveUnavailable`` where so many in a row can't be read that it must be the store."""
        self.objects += 1
        self.bytes += looked.bytes
        self.skipped += looked.skipped == NOT_HERE
        self.away += looked.skipped == TIER_AWAY
        if looked.wrong:
            self.wrong.append(looked)
        self._unreadable = self._unreadable + 1 if Kind.UNREADABLE in looked.wrong else 0
        if self._unreadable == MOST_IN_A_ROW:
            raise ArchiveUnavailable(
                f"{MOST_IN_A_ROW} objects in a row can't be read, though the store is there: look at its permissions, "
                "and at the findings"
            )


def instances(study_instance_uid: str = "", after: int = 0) -> Iterator[Row]:
    """All instances behind the primary key ``after``, or those of one study."""
    condition = "WHERE i.id > %s ORDER BY i.id LIMIT %s"
    if study_instance_uid:
        condition = "WHERE s.study_instance_uid = %s AND i.id > %s ORDER BY i.id LIMIT %s"
    values: list[str | int] = [study_instance_uid] if study_instance_uid else []
    while found := rows(condition, [*values, after, STEP]):
        yield from found
        after = found[-1].pk


def scrub(study_instance_uid: str = "", *, change: bool, repair: bool, tell: Callable[[Looked], None]) -> Tally:
    """Look at all of them now, or at those of one study; ``tell`` hears of each that is not as it was received.

    Raises ``ArchiveUnavailable``.
    """
    tally = Tally()
    for row in instances(study_instance_uid):
        looked = look(row, change=change, repair=repair)
        tally.add(looked)
        if looked.wrong:
            tell(looked)
    made = Representation.objects.order_by("pk")
    if study_instance_uid:
        made = made.filter(instance__series__study__study_instance_uid=study_instance_uid)
    else:
        tally.orphans = sweep_all(dry_run=True).noted
    for pk in made.values_list("pk", flat=True).iterator(STEP):
        tally.made_again += look_at_representation(pk, change=change)
    if change:
        findings.alert()
    return tally


def lap() -> Lap | None:
    """The walk that goes on."""
    return Lap.objects.filter(ended_at=None).order_by("-pk").first()


def go_on(walk: Lap, seconds_left: Callable[[], bool], most_bytes: int, *, repair: bool) -> Tally:
    """Look at what comes next in the walk, at one at least, until there is no time left, or so many bytes were read.

    What was looked at is written down step by step: a walk that is broken off goes on where it was. Raises
    ``ArchiveUnavailable``.
    """
    tally = Tally()
    ended = True
    for row in instances(after=walk.after):
        if tally.objects and (tally.bytes >= most_bytes or not seconds_left()):
            ended = False
            break
        looked = look(row, repair=repair)
        _written(walk, looked)
        tally.add(looked)
    if ended:
        with transaction.atomic():
            Lap.objects.filter(pk=walk.pk).update(ended_at=Now())
            # The last few say how long a walk takes. Those that found something stay: what they found is a counter.
            old = Lap.objects.order_by("-pk").values_list("pk", flat=True)[10:]
            Lap.objects.filter(pk__in=list(old), found=0).delete()
    if tally.wrong:
        findings.alert()
    return tally


def _written(walk: Lap, looked: Looked) -> None:
    Lap.objects.filter(pk=walk.pk).update(
        after=looked.row.pk,
        worked_at=Now(),
        objects_read=F("objects_read") + 1,
        bytes_read=F("bytes_read") + looked.bytes,
        found=F("found") + len(looked.wrong),
    )
