"""Objects that no facts name: stored so shortly before the index was lost that none were written, or orphans.

Nothing that was acknowledged is lost for want of facts: such an object is read and hashed whole, and indexed in the
order of the keys, which is that of the minutes in which they came. Of two under one SOP Instance UID the first stays.

A study of which there are facts that can't be read is no such thing: what was deleted of it would be there again, what
was closed open, what was corrected as before. It is kept out until its document is mended, or somebody says otherwise.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from django.db import OperationalError
from django.db.models import Max

from archive.index import index
from archive.index_rows import StoredObject
from archive.models import DeletedObject
from archive.object_store import object_store
from archive.store import ATTEMPTS, COLLISIONS, known_objects
from archive.sweep import HOLDERS
from custody.facts.documents import Facts, folder_of
from custody.facts.known import remember
from custody.facts.reading import Unread, many, whole_object
from custody.facts.tally import Tally
from custody.facts.triggers import STUDY_FACTS

ORIGINALS: Final = "instances/"
TRANSCODED: Final = "derived/transcoded/"
# Objects that a process reads at a time.
CHUNK: Final = 50
_KEYS: Final = 1000


def unknown_keys(beginning: str) -> list[str]:
    """The keys that no row has, neither as stored nor as deleted, in order. Raises ``ObjectStoreError``."""
    found: list[str] = []
    keys = object_store().keys(beginning)
    while some := list(islice(keys, _KEYS)):
        known = set(DeletedObject.objects.filter(object_key__in=some).values_list("object_key", flat=True))
        for model, column in HOLDERS[beginning]:
            known.update(model._default_manager.filter(**{f"{column}__in": some}).values_list(column, flat=True))
        found.extend(key for key in some if key not in known)
    return sorted(found)


def chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    """Work for one process at a time."""
    remaining = iter(keys)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def read(keys: Sequence[str]) -> list[StoredObject | Unread]:
    """These objects, each read whole."""
    return list(many(whole_object, keys))


def take(found: Sequence[StoredObject | Unread], tally: Tally, *, without_facts: bool = False) -> None:
    """Index what may be, and tell of the rest; with ``without_facts`` also studies whose facts can't be read."""
    read_well: list[StoredObject] = []
    for each in found:
        if isinstance(each, Unread):
            tally.problem(each.kind, each.text)
        else:
            read_well.append(each)
    unread = _with_unread_facts(read_well, tally)
    if not without_facts:
        _keep_out(unread, tally)
        read_well = [each for each in read_well if each.parsed.study_instance_uid not in unread]
    known = {uid: one.hashes for uid, one in known_objects(each.uid for each in read_well).items()}
    deleted = _deleted([each.uid for each in read_well])
    new: dict[str, StoredObject] = {}
    for each in read_well:
        if each.key.startswith(TRANSCODED) and (each.uid in known or each.uid in deleted or each.uid in new):
            tally.counts["spare_representations"] += 1
        elif each.uid in known or each.uid in new:
            same = each.sha256 in known[each.uid] if each.uid in known else each.sha256 == new[each.uid].sha256
            if same:
                tally.counts["duplicates"] += 1
            else:
                tally.problem("conflicts", f"{each.key}: other bytes are indexed under its SOP Instance UID {each.uid}")
        elif each.uid in deleted and _minute(each.key) < deleted[each.uid].replace(second=0, microsecond=0):
            tally.counts["of_deleted"] += 1
        else:
            new[each.uid] = each
    tally.counts["without_facts"] += _indexed(new)
    if without_facts:
        for study, key in unread.items():
            remember(STUDY_FACTS, study, Facts(key, b"", {}))


def _with_unread_facts(found: Sequence[StoredObject], tally: Tally) -> dict[str, str]:
    """Studies of these objects, with the key of their document that can't be read."""
    folders = {each.parsed.study_instance_uid: folder_of(STUDY_FACTS, each.parsed.study_instance_uid) for each in found}
    return {study: tally.unread[folder] for study, folder in folders.items() if folder in tally.unread}


def _keep_out(unread: Mapping[str, str], tally: Tally) -> None:
    for study, key in unread.items():
        text = f"study {study}: its facts can't be read or put back ({key})"
        if text not in tally.problems.get("kept_out", ()):
            tally.problem("kept_out", text)


def _indexed(new: dict[str, StoredObject]) -> int:
    """Somebody may be storing the same at this moment."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if new:
                index(list(new.values()), lambda indexed: None)
            break
        except OperationalError as error:
            if attempt == ATTEMPTS or not isinstance(error.__cause__, COLLISIONS):
                raise
            there = known_objects(new)
            new = {uid: each for uid, each in new.items() if uid not in there}
    return len(new)


def _deleted(uids: Sequence[str]) -> dict[str, datetime]:
    """When those of these instances that can be brought back were deleted."""
    rows = DeletedObject.objects.filter(sop_instance_uid__in=uids).exclude(sop_instance_uid="")
    return dict(rows.values_list("sop_instance_uid").annotate(Max("deleted_at")))


def _minute(key: str) -> datetime:
    """The minute in which an object came, as its key says it (``archive.store``)."""
    return datetime.strptime("/".join(key.split("/")[1:5]), "%Y/%m/%d/%H-%M").replace(tzinfo=UTC)
