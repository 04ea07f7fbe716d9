"""What the workers do: one Celery task that runs entries of the outbox, and the table of task kinds.

Rooms above add their own kinds when they are made ready.
"""

from collections.abc import Callable

from celery import shared_task

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
    """Run the tasks of entries, one after the other (idempotent). Where even a failure can't be written down, those
    behind it are sent again later."""
    for entry_id in entry_ids:
        outbox.run(entry_id, TASKS)
