"""What the workers do: one Celery task that runs entries of the outbox, and the table of task kinds.

Rooms above add their own kinds when they are made ready.
"""

import time
from collections.abc import Callable

from celery import shared_task
from django.db import DatabaseError, InterfaceError, close_old_connections

from archive import (
    at_rest,
    copying,
    extended_refresh,
    extended_reindex,
    extended_tags,
    metadata,
    outbox,
    strangers,
    sweep,
    thumbnail_task,
)

LONGEST_MESSAGE = 30.0
TASKS: dict[str, Callable[[str], None]] = {
    outbox.SERIES_METADATA: metadata.prepare,
    outbox.SERIES_THUMBNAIL: thumbnail_task.prepare_thumbnails,
    outbox.SWEEP: sweep.sweep_recent,
    outbox.EXTENDED_REINDEX: extended_reindex.reindex,
    outbox.EXTENDED_REFRESH: extended_refresh.refresh,
    outbox.EXTENDED_REMOVAL: extended_tags.remove_values,
    outbox.AT_REST: at_rest.transcode_series,
    outbox.STRANGERS: strangers.look,
    outbox.COPY_SERIES: copying.copy_series,
}


# The outbox is what remembers: were the broker to deliver again as well, a task that takes its worker with it would
# come back at once, for ever.
@shared_task(  # type: ignore[untyped-decorator, unused-ignore]
    name=outbox.RUN_OUTBOX_ENTRY, acks_late=False, reject_on_worker_lost=False
)
def run_outbox_entry(*entry_ids: int) -> None:
    """Run the tasks of entries, one after the other (idempotent). Each has its own luck; what would begin later than
    ``LONGEST_MESSAGE`` seconds after the first is sent again. Raises what kept one from being written down."""
    until = time.monotonic() + LONGEST_MESSAGE
    failure: Exception | None = None
    for number, entry_id in enumerate(entry_ids):
        if number and time.monotonic() > until:
            break
        try:
            outbox.run(entry_id, TASKS)
        except (DatabaseError, InterfaceError) as error:
            failure = error
            close_old_connections()
    if failure is not None:
        raise failure
