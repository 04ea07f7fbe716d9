"""Extended query tags: declaring them at run time, what became of each, and taking them back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Max, QuerySet, Sum

from archive import outbox
from archive.errors import Conflict, NotFound
from archive.extended_declaration import MOST_TAGS, ExtendedAttribute, path_of, same_element
from archive.extended_models import ExtendedTag, ExtendedTagError, Reindex
from archive.models import Series, Study
from archive.outbox import Wish
from audit.bounded import bounded

# A task runs so long at the most, then it wishes for its own continuation: it never blocks a worker for hours.
SLICE_SECONDS = 20.0
_LOCK_SECONDS = 10.0
ADDING, READY, DELETING = "adding", "ready", "deleting"
_REMOVED_AT_ONCE = 10_000
_REMOVE = """
    DELETE FROM archive_extendedvalue WHERE id IN (SELECT id FROM archive_extendedvalue WHERE tag_id = %s LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared attribute and its state; ``done`` of ``total`` instances were indexed, ``errors`` kept."""

    attribute: ExtendedAttribute
    status: str
    enabled: bool
    operation: UUID
    done: int
    total: int
    errors: int


@dataclass(frozen=True, slots=True)
class Operation:
    """A walk through what was stored, for the tags at ``paths``."""

    id: UUID
    paths: tuple[str, ...]
    done: int
    total: int
    finished: bool
    created_at: datetime
    updated_at: datetime


def declared() -> list[Declared]:
    """All tags, in the order of their paths; one query."""
    return [_declared(row) for row in _rows()]


def declared_at(name: str) -> Declared:
    """The tag of a path, given by tags or keywords. Raises ``NotFound``."""
    rows = sorted(_rows().filter(path=path_of(name) or ""), key=lambda row: row.status == DELETING)
    if not rows:
        raise NotFound("there is no such extended query tag")
    return _declared(rows[0])


def declare(attributes: Sequence[ExtendedAttribute], record: Callable[[], None]) -> UUID:
    """Declare ``attributes`` together, all or none, and begin to index what is stored; returns the operation.

    ``record`` is called inside the transaction. Raises ``Conflict``.
    """
    total = Study.objects.aggregate(n=Sum("number_of_study_related_instances"))["n"] or 0
    with transaction.atomic():
        _lock()
        present = list(ExtendedTag.objects.exclude(status=DELETING))
        for attribute in attributes:
            _refuse_a_second(attribute, present)
            present.append(_row(attribute))
        if len(present) > MOST_TAGS:
            raise Conflict(f"more than {MOST_TAGS} extended query tags")
        last = Series.objects.aggregate(pk=Max("pk"))["pk"] or 0
        reindex = Reindex.objects.create(until_series=last, total=total)
        ExtendedTag.objects.bulk_create([_row(attribute, reindex) for attribute in attributes])
        outbox.wish([Wish(outbox.EXTENDED_REINDEX, reindex.pk.hex)])
        record()
    return reindex.pk


def enable(name: str, enabled: bool, record: Callable[[], None]) -> Declared:
    """Let a tag be searched, or not; its values are kept up to date in both cases. Raises ``NotFound``."""
    found = _present(name)
    with transaction.atomic():
        ExtendedTag.objects.filter(pk=found.attribute.id).update(enabled=enabled)
        record()
    return replace(found, enabled=enabled)


def remove(name: str, record: Callable[[], None]) -> None:
    """Take a tag back: no longer searched at once, its values go soon. Raises ``NotFound``."""
    found = declared_at(name)
    with transaction.atomic():
        _lock()
        ExtendedTag.objects.filter(pk=found.attribute.id).update(status=DELETING)
        outbox.wish([Wish(outbox.EXTENDED_REMOVAL, str(found.attribute.id))])
        record()


def remove_values(subject: str) -> None:
    """The task: the values of the tag with this primary key, a number at a time, then the tag itself."""
    until = time.monotonic() + SLICE_SECONDS
    rows = ExtendedTag.objects.filter(pk=int(subject), status=DELETING)
    while rows.exists():
        with connection.cursor() as cursor:
            cursor.execute(_REMOVE, [int(subject), _REMOVED_AT_ONCE])
            left = cursor.rowcount == _REMOVED_AT_ONCE
        if left and time.monotonic() >= until:
            outbox.wish([Wish(outbox.EXTENDED_REMOVAL, subject)])
            return
        if not left:
            with transaction.atomic():
                walks = list(rows.values_list("reindex_id", flat=True))
                rows.delete()
                Reindex.objects.filter(pk__in=walks, tags=None).delete()


def errors_of(name: str, limit: int, offset: int) -> QuerySet[ExtendedTagError]:
    """What could not be indexed of a tag, in the order in which it was found. Raises ``NotFound``."""
    tag = declared_at(name).attribute.id
    return ExtendedTagError.objects.filter(tag=tag).order_by("pk")[offset : offset + limit]


def operation(pk: UUID) -> Operation:
    """A walk by its id. Raises ``NotFound``."""
    row = Reindex.objects.filter(pk=pk).first()
    if row is None:
        raise NotFound("there is no such operation")
    return Operation(
        row.pk,
        tuple(row.tags.order_by("path").values_list("path", flat=True)),
        row.total if row.finished else min(row.done, row.total),
        row.total,
        row.finished,
        row.created_at,
        row.updated_at,
    )


def _present(name: str) -> Declared:
    found = declared_at(name)
    if found.status == DELETING:
        raise NotFound("this extended query tag is being removed")
    return found


def _rows() -> QuerySet[ExtendedTag]:
    return ExtendedTag.objects.select_related("reindex").annotate(errors=Count("problems")).order_by("path", "pk")


def _declared(row: ExtendedTag) -> Declared:
    walk = row.reindex
    return Declared(
        ExtendedAttribute(row.path, row.vr, row.level, row.private_creator, row.pk),  # type: ignore[arg-type]
        row.status,
        row.enabled,
        walk.pk,
        walk.total if walk.finished else min(walk.done, walk.total),
        walk.total,
        row.errors,  # type: ignore[attr-defined]
    )


def _row(attribute: ExtendedAttribute, reindex: Reindex | None = None) -> ExtendedTag:
    row = ExtendedTag(
        path=attribute.path, vr=attribute.vr, level=attribute.level, private_creator=attribute.private_creator
    )
    if reindex is not None:
        row.reindex = reindex
    return row


def _refuse_a_second(attribute: ExtendedAttribute, present: Sequence[ExtendedTag]) -> None:
    """Two names of one attribute, and two creators of one private block, would make the answers ambiguous."""
    *parents, last = attribute.steps
    for row in present:
        *others, tag = row.path.split(".")
        if others != parents:
            continue
        if same_element(tag, row.private_creator) == same_element(last, attribute.private_creator):
            raise Conflict(f"{attribute.path} is declared already" + (f", as {row.path}" if tag != last else ""))
        if row.private_creator and tag[:6] == last[:6] and row.private_creator != attribute.private_creator:
            raise Conflict(f"{attribute.path}: this block is declared for another private creator; take another block")


def _lock() -> None:
    """Wait for the writers of values, and hold off those to come; see ``archive.extended_values``."""
    with bounded(lock_seconds=_LOCK_SECONDS), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE archive_extendedtag IN EXCLUSIVE MODE")
