"""Logs without values: what an exception says, and what was asked, stays out of them."""

from __future__ import annotations

import json
import logging
import logging.config
from io import StringIO
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection
from django.test import Client as Browser
from django.test import RequestFactory

from pacs_project.config import config
from pacs_project.logs import FORMAT, WithoutValues, formatter
from pacs_project.logs_json import JsonLines
from telemetry.at_work import working_on

NAME = "ZZMARKER^NAME"


def formatted(action: object) -> str:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(WithoutValues("%(levelname)s %(name)s %(message)s"))
    log = logging.getLogger("tests.logs")
    log.addHandler(handler)
    log.propagate = False
    try:
        assert callable(action)
        action(log)
    finally:
        log.removeHandler(handler)
    return stream.getvalue()


@pytest.mark.django_db
def test_what_the_database_says_stays_out() -> None:
    said: list[str] = []

    def fail(log: logging.Logger) -> None:
        try:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT %s::int", [NAME])
            except DatabaseError as error:
                raise ValueError(f"about {error}") from error
        except ValueError as error:
            said.append(str(error))
            log.exception("it failed")

    text = formatted(fail)
    assert NAME in said[0]
    assert NAME not in text
    assert "builtins.ValueError" in text
    assert "django.db.utils.DataError" in text
    assert "InvalidTextRepresentation" in text
    assert "test_logs.py" in text


def test_a_task_that_failed() -> None:
    """The dictionary that Celery gives its log."""
    told = {"id": "1", "name": "task", "description": "raised unexpected", "exc": f"ValueError('{NAME}')"}
    text = formatted(lambda log: log.error("Task %(name)s[%(id)s] %(description)s: %(exc)s", told))
    assert NAME not in text
    assert "task[1] raised unexpected" in text


def test_every_log_goes_through_it() -> None:
    [handler] = [h for h in logging.getLogger().handlers if isinstance(h.formatter, WithoutValues)]
    assert handler.formatter is not None
    for name in ("django", "django.request", "django.security.csrf", "celery.app.trace"):
        assert logging.getLogger(name).handlers == [], name


@pytest.mark.django_db
def test_a_defect_of_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(NAME)

    monkeypatch.setattr("portal.health.states_now", broken)
    stream = StringIO()
    [handler] = [h for h in logging.getLogger().handlers if isinstance(h.formatter, WithoutValues)]
    assert isinstance(handler, logging.StreamHandler)
    monkeypatch.setattr(handler, "stream", stream)
    answer = Browser(HTTP_HOST="127.0.0.1", raise_request_exception=False).get(f"/readyz?name={NAME}")
    assert answer.status_code == 500
    assert "builtins.RuntimeError" in stream.getvalue()
    assert NAME not in stream.getvalue()


def test_json_lines() -> None:
    """One object a line, with the id of what is at work and without what an exception says."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("tests.json")
    log.addHandler(handler)
    log.propagate = False
    try:
        with working_on("task-7"):
            try:
                raise ValueError(NAME)
            except ValueError:
                log.exception("it failed\nin two lines")
        with working_on(""):
            log.info("done", extra={"fields": {"route": "studies", "ms": 1.5}})
    finally:
        log.removeHandler(handler)
    failed, done = (json.loads(line) for line in stream.getvalue().splitlines())
    assert failed["request_id"] == "task-7"
    assert failed["message"] == "it failed\nin two lines"
    assert "builtins.ValueError" in failed["exception"]
    assert NAME not in stream.getvalue()
    assert (done["route"], done["ms"], done["level"]) == ("studies", 1.5, "INFO")
    assert "request_id" not in done


def test_plain_lines_have_the_id() -> None:
    handler = WithoutValues(FORMAT)
    record = logging.LogRecord("tests", logging.INFO, "", 0, "it came", None, None)
    with working_on("hl7-12"):
        assert handler.format(record).endswith("tests [hl7-12] it came")
    # Requests of other tests leave theirs in this thread.
    with working_on(""):
        assert handler.format(record).endswith("tests [-] it came")


def test_gunicorn_writes_as_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_LOG_FORMAT", "json")
    config.cache_clear()
    try:
        assert isinstance(formatter(), JsonLines)
    finally:
        config.cache_clear()


def test_a_request_that_failed_is_told_by_its_route() -> None:
    """Django would write the address, in which a study stands."""
    request = RequestFactory().get("/dicom-web/studies/1.2.3.4")
    request.resolver_match = SimpleNamespace(route="dicom-web/studies/<uid:study>")  # type: ignore[assignment]
    for asked, told in ((request, "/dicom-web/studies/<uid:study>"), (RequestFactory().get("/1.2.3.4"), "an address")):
        values = {"name": "django.request", "msg": "%s: %s", "args": ("Service Unavailable", asked.path)}
        line = WithoutValues("%(message)s").format(logging.makeLogRecord({**values, "request": asked}))
        assert line == f"Service Unavailable: {told}"
