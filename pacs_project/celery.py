"""The Celery application; tasks live in the rooms' ``tasks`` modules."""

import gc
import os
from contextlib import ExitStack
from typing import Any

from celery import Celery
from celery.signals import (
    task_postrun,
    task_prerun,
    worker_before_create_process,
    worker_init,
    worker_ready,
    worker_shutdown,
)

from pacs_project import broker_transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
# Django's checks import every view, which no task needs; whoever migrates has made them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
broker_transport.use()
app = Celery("pacs_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_runs: dict[str, Any] = {}
_scraped = ExitStack()


@task_prerun.connect
@task_postrun.connect
def _look_after_connections(**_: Any) -> None:
    """A process keeps its database session from task to task, as a web process does from request to request; Celery's
    own way, a session for each task, is switched off by ``CELERY_DB_REUSE_MAX``."""
    from django.db import close_old_connections

    close_old_connections()


@worker_init.connect
def _step_back(**_: Any) -> None:
    """Whoever asks for something comes first: the processes of a worker, and their codecs, have what is left."""
    from django.conf import settings

    os.nice(settings.PACS.worker_niceness)


@worker_before_create_process.connect
def _share_memory(**_: Any) -> None:
    """What is there before a fork stays the parent's: a collection that visits it would copy its pages."""
    gc.freeze()


@worker_ready.connect
def _note_start(sender: Any, **_: Any) -> None:
    """A worker says in the trail that it has started: the process that others come from, not each of them."""
    from django.db import connection

    from audit.activity import Run

    _runs[sender.hostname] = Run("task worker", instance=f"task worker {sender.hostname}")
    _runs[sender.hostname].started()
    connection.close()


@worker_ready.connect
def _be_scraped(**_: Any) -> None:
    """In the process that others come from, which tells of them all."""
    from django.conf import settings

    from telemetry.scraping import scraped

    how = settings.PACS.metrics
    _scraped.enter_context(scraped(how.host, how.port, how.token.get_secret_value()))


@worker_shutdown.connect
def _be_scraped_no_more(**_: Any) -> None:
    _scraped.close()


@worker_shutdown.connect
def _note_stop(sender: Any, **_: Any) -> None:
    """The same at its end; a worker that never was ready has nothing to say."""
    from django.db import connection

    if sender.hostname in _runs:
        _runs.pop(sender.hostname).stopped()
        connection.close()
