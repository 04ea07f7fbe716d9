"""The sealer: seals events as they come and signs a checkpoint now and then, until it is told to stop."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Min

from audit import tree
from audit.checkpoints import BadCheckpoint, Checkpoint, Signer, parse, signer
from audit.companion import Companion
from audit.frame_reads import fold
from audit.models import AccessEvent, SealedEvent, UnsealedEvent
from audit.partitions import keep_ahead
from audit.places import Folder, Leaf, Place
from audit.sealing import BATCH, seal_batch
from audit.tree import TrailAltered

log = logging.getLogger(__name__)

PAUSE: Final = 1.0
LEAVES_PER_FILE: Final = 100_000
PARTITIONS_EVERY: Final = 3600.0


def folder() -> Place:
    """Where this installation keeps its checkpoints: a folder, or a bucket."""
    return place(settings.PACS.audit.checkpoints or settings.PACS.data / "audit-checkpoints")


def place(where: str | Path) -> Place:
    """The folder, or the bucket ``s3://name/prefix`` with this installation's access to it."""
    audit = settings.PACS.audit
    if not str(where).startswith("s3://"):
        return Folder(Path(where))
    # Who keeps checkpoints in a folder needs no boto3.
    from audit.bucket import Bucket, BucketAccess

    return Bucket(
        str(where),
        BucketAccess(
            endpoint_url=audit.s3.endpoint_url,
            region=audit.s3.region,
            access_key_id=audit.s3.access_key_id,
            secret_access_key=audit.s3.secret_access_key.get_secret_value(),
            lock_days=audit.lock_days,
        ),
    )


def own_signer() -> Signer:
    """This installation's key; made at its first use. Raises OSError, ValueError."""
    host = urlsplit(settings.PACS.public_root).hostname or "localhost"
    return signer(settings.PACS.audit.key or settings.PACS.data / "secrets/audit_key", f"{host}/lightbox-audit")


def checkpoint(place: Place, own: Signer) -> Checkpoint | None:
    """Sign what is sealed and write it to ``place``; None if there is nothing new.

    Nothing is signed that does not go on where the last checkpoint ended. Raises TrailAltered, DatabaseError, OSError,
    BadCheckpoint.
    """
    size = tree.size()
    newest = place.newest()
    signed = 0
    if newest is not None:
        last = parse(newest.read_text())
        signed = last.size
        if size < signed:
            raise TrailAltered(f"{signed} events were sealed at {last.time:%Y-%m-%dT%H:%M:%SZ}, and {size} are left")
        if tree.frontier(signed).root() != last.root:
            raise TrailAltered(
                f"the first {signed} events are not those that were sealed at {last.time:%Y-%m-%dT%H:%M:%SZ}"
            )
    if size == signed:
        return None
    made = own.sign(size, tree.frontier(size).root(), datetime.now(UTC))
    for first in range(signed + 1, size + 1, LEAVES_PER_FILE):
        place.write_leaves(f"{made.time:%Y-%m-%d}", first, _leaves(first, min(size, first + LEAVES_PER_FILE - 1)))
    place.write_checkpoint(made)
    return made


def _leaves(first: int, last: int) -> Iterator[Leaf]:
    rows = SealedEvent.objects.filter(position__gte=first, position__lte=last).order_by("position")
    for sequence, leaf in rows.values_list("sequence", "leaf_hash").iterator(10_000):
        yield sequence, bytes(leaf)


def state() -> dict[str, float]:
    """For how many seconds the oldest event waits to be sealed and, sealed, to be signed; and how many are either."""
    newest = folder().newest()
    signed = parse(newest.read_text()).size if newest is not None else 0
    waiting = UnsealedEvent.objects.values("sequence")
    oldest = AccessEvent.objects.filter(sequence__in=waiting).aggregate(at=Min("recorded_at"))["at"]
    unsigned = SealedEvent.objects.filter(position=signed + 1).values_list("sealed_at", flat=True).first()
    return {
        "sealed": tree.size(),
        "signed": signed,
        "unsealed_seconds": _age(oldest),
        "unsigned_seconds": _age(unsigned),
    }


def _age(moment: datetime | None) -> float:
    return 0.0 if moment is None else (datetime.now(UTC) - moment).total_seconds()


class Sealer(Companion):
    """Seals each second and signs each ``PACS.audit.checkpoint_seconds``."""

    name = "sealer"
    failing = "the trail can't be sealed"
    pause = PAUSE

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(stop)
        self._sign_at = 0.0
        self._partitions_at = 0.0

    def work(self) -> None:
        """Seal, and sign if it is time."""
        try:
            if time.monotonic() >= self._partitions_at:
                self._partitions_at = time.monotonic() + PARTITIONS_EVERY
                keep_ahead()
            fold()
            while seal_batch() == BATCH and time.monotonic() < self._sign_at and not self._stop.is_set():
                pass
            if time.monotonic() >= self._sign_at:
                self._sign_at = time.monotonic() + settings.PACS.audit.checkpoint_seconds
                checkpoint(folder(), own_signer())
        except TrailAltered as error:
            log.error("THE ACCESS TRAIL WAS ALTERED, no checkpoint is signed: %s. Run audit_verify", error)
        except (OSError, ValueError, BadCheckpoint) as error:
            log.error("no checkpoint of the access trail could be written: %s", type(error).__name__)

    def finish(self) -> None:
        """Seal and sign what there is."""
        self._sign_at = 0.0
        self.turn()
