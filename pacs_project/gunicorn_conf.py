"""gunicorn's settings for ``./pacs up`` and the image: ``gunicorn --config=python:pacs_project.gunicorn_conf``."""

import gc
import os
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

worker_class = "pacs_project.web_worker.WebWorker"
logger_class = "pacs_project.logs.ServerLog"
workers = 2
threads = 32
worker_connections = 1000
timeout = 120
graceful_timeout = 20
keepalive = 5
backlog = 512
# Workers are forked from a master that has loaded everything, and share its memory.
preload_app = True
# A search may name many UIDs; this is the most gunicorn takes.
limit_request_line = 8190
# gunicorn's heartbeat files: on a slow disk they would let healthy workers look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# Proxies are believed by `pacs_project.middleware`, which knows PACS_TRUSTED_PROXIES. By itself gunicorn would believe
# everybody on this machine, SCRIPT_NAME included.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True
# With it files would pass by `ClientSocket.sendall` and its limits.
sendfile = False


# Of this server, for its start and its stop: workers inherit it.
RUN = uuid4().hex
MASTER = os.getpid()


def when_ready(server: Any) -> None:
    """Before the first fork: the views are imported, and no collection copies what workers share."""
    import_module("pacs_project.urls")
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """The first worker of a server says in the trail that it has started; those that replace it don't."""
    if worker.age == 1:
        _run().started()
        _tell_subscribers(worker)


def worker_exit(server: Any, worker: Any) -> None:
    """Whoever waits for events of workitems is told that the channel ends."""
    import_module("dicomweb.channels").stop()


def on_exit(server: Any) -> None:
    """The workers have gone; the server says so itself, which needs the application for the first time."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
    try:
        django.setup()
        _run().stopped()
    except Exception as error:  # noqa: BLE001 - whatever stands in its way, the server ends
        server.log.error("the trail doesn't have that the web server stopped: %s", type(error).__name__)


def _tell_subscribers(worker: Any) -> None:
    """That the service is here again; a database that is away keeps nobody from starting."""
    try:
        import_module("workitems.events").service_restarted()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, requests will meet it and say so
        worker.log.warning("subscribers to workitems aren't told of the start: %s", type(error).__name__)


def _run() -> Any:
    from audit.activity import Run

    return Run("web server", run=RUN, process=MASTER)
