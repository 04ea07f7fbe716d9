"""The Celery application; tasks live in the rooms' ``tasks`` modules."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
app = Celery("pacs_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_runs: dict[str, Any] = {}


@worker_ready.connect
def _note_start(sender: Any, **_: Any) -> None:
    """A worker says in the trail that it has started: the process that others come from, not each of them."""
    from django.db import connection

    from audit.activity import Run

    _runs[sender.hostname] = Run("task worker", instance=f"task worker {sender.hostname}")
    _runs[sender.hostname].started()
    connection.close()


@worker_shutdown.connect
def _note_stop(sender: Any, **_: Any) -> None:
    """The same at its end; a worker that never was ready has nothing to say."""
    from django.db import connection

    if sender.hostname in _runs:
        _runs.pop(sender.hostname).stopped()
        connection.close()
