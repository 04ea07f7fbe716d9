"""Processes say when they start and stop; a start without a stop is a crash."""

import logging

import pytest
from django.db import connection

from audit.activity import RelayRun, Run, crashes
from audit.models import AccessEvent

pytestmark = pytest.mark.django_db


def test_a_run_says_both() -> None:
    with RelayRun(None):
        [start] = AccessEvent.objects.values()
    [_, stop] = AccessEvent.objects.order_by("sequence").values()
    assert [(row["kind"], row["principal_kind"], row["principal_name"]) for row in (start, stop)] == [
        ("started", "system", "relay"),
        ("stopped", "system", "relay"),
    ]
    assert start["request_id"] == stop["request_id"] != ""
    assert start["principal_id"].startswith("relay@")
    assert crashes() == []


def test_a_start_without_a_stop_is_a_crash_when_the_next_one_starts() -> None:
    Run("relay").started()
    Run("task worker", instance="task worker lightbox@other").started()
    assert crashes() == [], "they may be running"
    again = Run("relay")
    again.started()
    again.stopped()
    third = Run("relay")
    third.started()
    [crash] = crashes()
    first = AccessEvent.objects.order_by("sequence")[0]
    assert (crash.application, crash.started, crash.text) == ("relay", first.recorded_at, first.outcome_description)


def test_another_machine_says_nothing_about_this_one() -> None:
    for machine in ("a", "b", "c"):
        Run("web server", instance=f"web server@{machine}").started()
    assert crashes() == []


@pytest.mark.django_db(transaction=True)
def test_a_stop_that_cannot_be_written_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    run = Run("relay")
    run.started()
    rename = "ALTER TABLE {} RENAME TO {}"
    with connection.cursor() as cursor:
        cursor.execute(rename.format("audit_accessevent", "elsewhere"))
        try:
            with caplog.at_level(logging.ERROR):
                run.stopped()
        finally:
            cursor.execute(rename.format("elsewhere", "audit_accessevent"))
    assert "the trail doesn't have that the relay stopped" in caplog.text
