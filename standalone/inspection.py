"""Run inside the product's environment by `status` and `doctor`: what only Django can tell, as one line of JSON.

It asks through Django's registry, in a process of its own, so that the launcher works while the product does not.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Answer = dict[str, Any]


def studies() -> Answer:
    from django.apps import apps

    return {"studies": apps.get_model("archive", "Study")._default_manager.count()}


def migrations() -> Answer:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return {"pending": len(executor.migration_plan(executor.loader.graph.leaf_nodes()))}


def object_store() -> Answer:
    from django.conf import settings
    from django.utils.module_loading import import_string

    import_string("archive.object_store.object_store")().check()
    return {"kind": settings.PACS.object_store}


def trail() -> Answer:
    from django.utils.module_loading import import_string

    state: Answer = import_string("audit.sealer.state")()
    return state


def backups() -> Answer:
    from django.utils.module_loading import import_string

    state: Answer = import_string("custody.backups.state.told")()
    return state


def rebuild() -> Answer:
    from django.utils.module_loading import import_string

    state: Answer = import_string("custody.facts.due.told")()
    return state


def figures() -> Answer:
    """What a scrape would show: name -> label -> figure."""
    from django.utils.module_loading import import_string

    found = import_string("pacs_project.gauges.figures")()
    return {name: {" ".join(label): figure for label, figure in labelled.items()} for name, labelled in found.items()}


def database() -> Answer:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings")
        settings = dict(cursor.fetchall())
        began = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        [(there,)] = cursor.fetchall()
    return {"settings": settings, "clock": there - (began + time.time()) / 2}


def disk() -> Answer:
    """Bytes free where objects are kept as files, and how many came a day in the last week."""
    import shutil

    from django.conf import settings
    from django.db import connection, transaction

    if settings.PACS.object_store != "file":
        return {}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '10s'")
        cursor.execute(
            "SELECT COALESCE(sum(object_size), 0)::float8 / 7 FROM archive_instance"
            " WHERE created_at > now() - interval '7 days'"
        )
        [(per_day,)] = cursor.fetchall()
    return {"free": shutil.disk_usage(settings.PACS.data).free, "per_day": per_day}


def crashes() -> Answer:
    from django.utils.module_loading import import_string

    found = import_string("audit.activity.crashes")()
    return {"crashes": [[crash.application, f"{crash.started:%Y-%m-%d %H:%M:%S} UTC"] for crash in found]}


def configuration() -> Answer:
    from django.conf import settings

    return {"configuration": _without_credentials(json.loads(settings.PACS.model_dump_json()))}


def _without_credentials(value: Any) -> Any:
    """Addresses without users, passwords and queries, in which libpq and others take passwords as well."""
    if isinstance(value, dict):
        return {key: _without_credentials(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_credentials(each) for each in value]
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urlsplit(value)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


CHECKS: dict[str, Callable[[], Answer]] = {
    "studies": studies,
    "migrations": migrations,
    "object_store": object_store,
    "trail": trail,
    "crashes": crashes,
    "backups": backups,
    "rebuild": rebuild,
    "figures": figures,
    "database": database,
    "disk": disk,
    "configuration": configuration,
}


def main(names: list[str]) -> None:
    """Print {name: answer} for each check asked for; a check that fails answers {"error": ...}."""
    import django

    answers: dict[str, Answer] = {}
    try:
        django.setup()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        answers = {name: _failure(error) for name in names}
        names = []
    for name in names:
        try:
            answers[name] = CHECKS[name]()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            answers[name] = _failure(error)
    print(json.dumps(answers))


def _failure(error: Exception) -> Answer:
    traceback.print_exception(error, file=sys.stderr)
    return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


if __name__ == "__main__":
    main(sys.argv[1:])
