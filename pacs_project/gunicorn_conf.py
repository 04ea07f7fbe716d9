"""gunicorn's settings for ``./pacs up`` and the image: ``gunicorn --config=python:pacs_project.gunicorn_conf``."""

from pathlib import Path

worker_class = "pacs_project.web_worker.WebWorker"
logger_class = "pacs_project.logs.ServerLog"
workers = 2
threads = 32
worker_connections = 1000
timeout = 120
graceful_timeout = 20
keepalive = 5
backlog = 512
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
