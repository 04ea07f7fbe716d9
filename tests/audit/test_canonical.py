"""The bytes that are hashed: fixed for ever, and what RFC 8785 makes of the event."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from audit.canonical import CANONICAL_SQL, FIELDS
from audit.merkle import leaf_hash
from audit.models import AccessEvent
from audit.record import record
from tests.audit.logs import an_event, rows

VECTOR = (
    '{"action":"R","auth_method":"oauth2","bytes":1099511627776,"decision":"allow","instance_count":3,"instance_uid":"",'
    '"kind":"retrieve","method":"GET","outcome":0,"outcome_description":"","path":"/dicom-web/studies/<study>",'
    '"patient_ids":["P\\"1","\\u0007"],"principal_id":"c1","principal_kind":"client","principal_name":"Zoë\\\\Äß 山田",'
    '"purpose":"","query":"a=1&b=\\n\\t","recorded_at":"2030-01-31T12:00:00.000120Z","request_id":"r-1",'
    '"roles":["device"],"rule":"","sequence":4711,"series_uid":"","source_ip":"2001:db8::7","study_uids":["1.2.3"],'
    '"token_id":"ab12","user_agent":"curl/8"}'
)
LEAF = "e299d868e65fc8e74bcc388cfdda9e528240fa3fe723628e95de5622b781424f"


def canonical(sequence: int) -> str:
    [(text,)] = rows(f"SELECT {CANONICAL_SQL} FROM audit_accessevent e WHERE e.sequence = %s", sequence)  # noqa: S608
    return str(text)


def as_rfc_8785(text: str) -> str:
    """Our events hold no numbers but whole ones and no keys beyond ASCII; Python's JSON does the rest of RFC 8785."""
    return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.django_db
def test_the_bytes_of_an_event_never_change() -> None:
    AccessEvent(
        sequence=4711,
        recorded_at=datetime(2030, 1, 31, 12, 0, 0, 120, UTC),
        kind="retrieve",
        action="R",
        principal_kind="client",
        principal_id="c1",
        principal_name="Zoë\\Äß 山田",
        auth_method="oauth2",
        token_id="ab12",
        roles=["device"],
        source_ip="2001:db8::7",
        user_agent="curl/8",
        request_id="r-1",
        method="GET",
        path="/dicom-web/studies/<study>",
        study_uids=["1.2.3"],
        patient_ids=['P"1', "\a"],
        instance_count=3,
        bytes=1 << 40,
        query="a=1&b=\n\t",
    ).save(force_insert=True)
    assert canonical(4711) == VECTOR == as_rfc_8785(VECTOR)
    assert leaf_hash(VECTOR.encode()).hex() == LEAF


@pytest.mark.django_db
def test_neither_time_zone_nor_search_path_changes_them() -> None:
    record([an_event(source_ip="10.0.0.1")])
    event = AccessEvent.objects.get()
    before = canonical(event.sequence)
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL TimeZone = 'Asia/Kolkata'; SET LOCAL DateStyle = 'SQL, DMY'; SET LOCAL IntervalStyle=iso_8601"
        )
        cursor.execute(
            "CREATE SCHEMA mine; CREATE FUNCTION mine.to_char(timestamp, text) RETURNS text "
            "LANGUAGE sql AS 'SELECT $$then$$'"
        )
        cursor.execute("SET LOCAL search_path = mine, public")
    assert canonical(event.sequence) == before
    assert f'"recorded_at":"{event.recorded_at:%Y-%m-%dT%H:%M:%S.%f}Z"' in before


def test_every_column_is_in_them() -> None:
    """A new column belongs into the bytes, but only where it has a value: what is sealed already must not change."""
    assert list(FIELDS) == sorted(field.name for field in AccessEvent._meta.fields)


class HostileText(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(text=st.text(max_size=40), texts=st.lists(st.text(max_size=8), max_size=3))
    def test_any_text_is_as_rfc_8785_has_it(self, text: str, texts: list[str]) -> None:
        record([an_event(query=text, patient_ids=texts)])
        event = AccessEvent.objects.latest("sequence")
        made = canonical(event.sequence)
        assert made == as_rfc_8785(made)
        assert (json.loads(made)["query"], json.loads(made)["patient_ids"]) == (event.query, event.patient_ids)
