"""Every kind of event is a message of PS3.15 A.5: whole, in the order of the schema, whatever stands in its fields."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.kinds import KINDS, EventKind
from audit.messages import Source, Subject, audit_message
from audit.models import AccessEvent

SOURCE = Source("pacs.example.org", "https://pacs.example.org", "Site 7")
AT = datetime(2030, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)
UID, OTHER = "1.2.826.0.1.1", "1.2.826.0.1.2"
SUBJECTS = {UID: Subject("P-77", "ACC1"), OTHER: Subject("P-78")}


def an_event(kind: EventKind, **fields: Any) -> AccessEvent:
    """As the trail has it: with nearly every field filled."""
    given: dict[str, Any] = {
        "sequence": 41,
        "recorded_at": AT,
        "kind": kind.name,
        "action": kind.action,
        "principal_kind": "person",
        "principal_id": "0b5e7c0e-0000-4000-8000-000000000001",
        "principal_name": "dr.example",
        "auth_method": "session",
        "token_id": "ab12",
        "roles": ["radiologist"],
        "source_ip": "192.0.2.7",
        "request_id": "req-1",
        "method": "GET",
        "path": "/dicom-web/studies/<str:study>",
        "study_uids": [UID],
        "instance_count": 3,
        "bytes": 4096,
        "query": "PatientID=P-77",
    }
    return AccessEvent(**(given | fields))


def message(kind: str, **fields: Any) -> Element:
    return ElementTree.fromstring(audit_message(an_event(KINDS[kind], **fields), SOURCE, SUBJECTS))  # noqa: S314 - ours


@dataclass(frozen=True)
class Shape:
    """An element of the schema of A.5.1: its attributes (required, optional) and its children in their order.

    A child is (name, least, most); a most of 0 is without limit. ``one_of`` are children of which exactly one is there.
    """

    required: Sequence[str] = ()
    optional: Sequence[str] = ()
    children: Sequence[tuple[str, int, int]] = ()
    one_of: frozenset[str] = frozenset()


CODED = Shape(("csd-code", "codeSystemName", "originalText"), ("displayName",))
SCHEMA: dict[str, Shape] = {
    "AuditMessage": Shape(
        children=(
            ("EventIdentification", 1, 1),
            ("ActiveParticipant", 1, 0),
            ("AuditSourceIdentification", 1, 1),
            ("ParticipantObjectIdentification", 0, 0),
        )
    ),
    "EventIdentification": Shape(
        ("EventActionCode", "EventDateTime", "EventOutcomeIndicator"),
        children=(("EventID", 1, 1), ("EventTypeCode", 0, 0), ("EventOutcomeDescription", 0, 1)),
    ),
    "ActiveParticipant": Shape(
        ("UserID", "UserIsRequestor"),
        ("AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"),
        (("RoleIDCode", 0, 0), ("MediaIdentifier", 0, 1)),
    ),
    "MediaIdentifier": Shape(children=(("MediaType", 1, 1),)),
    "AuditSourceIdentification": Shape(
        ("AuditSourceID",), ("AuditEnterpriseSiteID",), (("AuditSourceTypeCode", 0, 0),)
    ),
    "AuditSourceTypeCode": Shape(("csd-code",)),
    "ParticipantObjectIdentification": Shape(
        ("ParticipantObjectID", "ParticipantObjectTypeCode", "ParticipantObjectTypeCodeRole"),
        (),
        (
            ("ParticipantObjectIDTypeCode", 1, 1),
            ("ParticipantObjectName", 0, 1),
            ("ParticipantObjectQuery", 0, 1),
            ("ParticipantObjectDetail", 0, 0),
            ("ParticipantObjectDescription", 0, 0),
        ),
        frozenset({"ParticipantObjectName", "ParticipantObjectQuery"}),
    ),
    "ParticipantObjectDetail": Shape(("type", "value")),
    "ParticipantObjectDescription": Shape(children=(("MPPS", 0, 0), ("Accession", 0, 0), ("SOPClass", 0, 0))),
    "Accession": Shape(("Number",)),
    "SOPClass": Shape(("NumberOfInstances",), ("UID",), (("Instance", 0, 0),)),
    "Instance": Shape(("UID",)),
    **dict.fromkeys(("EventID", "EventTypeCode", "RoleIDCode", "MediaType", "ParticipantObjectIDTypeCode"), CODED),
    **{name: Shape() for name in ("EventOutcomeDescription", "ParticipantObjectName", "ParticipantObjectQuery")},
}


def assert_valid(element: Element) -> None:
    shape = SCHEMA[element.tag]
    names = set(element.attrib)
    assert set(shape.required) <= names <= {*shape.required, *shape.optional}, (element.tag, names)
    assert all(element.attrib.values()), (element.tag, "an attribute is empty")
    order = [name for name, _, _ in shape.children]
    found = [child.tag for child in element]
    assert set(found) <= set(order), (element.tag, found)
    assert [order.index(name) for name in found] == sorted(order.index(name) for name in found), (element.tag, found)
    for name, least, most in shape.children:
        assert least <= found.count(name) <= (most or len(found)), (element.tag, name)
    if shape.one_of:
        assert len([name for name in found if name in shape.one_of]) == 1
    for child in element:
        assert_valid(child)


def assert_of_the_kind(root: Element, kind: EventKind) -> None:
    """The mandatory parts of A.5.2 and the fixed ones of A.5.3."""
    event = root[0]
    assert event.get("EventActionCode") in set("CRUDE")
    assert event.get("EventOutcomeIndicator") in {"0", "4", "8", "12"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", event.get("EventDateTime", ""))
    assert event[0].attrib == {"csd-code": kind.event_id, "codeSystemName": "DCM", "originalText": kind.event_name}
    types = [each.get("csd-code") for each in event.findall("EventTypeCode")]
    assert types == ([kind.type_code] if kind.type_code else [])
    for participant in root.findall("ActiveParticipant"):
        assert participant.get("UserIsRequestor") in {"true", "false"}
        assert ("NetworkAccessPointID" in participant.attrib) == ("NetworkAccessPointTypeCode" in participant.attrib)
    for pair in root.iter("ParticipantObjectDetail"):
        base64.b64decode(pair.get("value", ""), validate=True)


def ids(root: Element, code: str) -> list[str | None]:
    """ParticipantObjectID of the objects of one type."""
    return [
        each.get("ParticipantObjectID")
        for each in root.findall("ParticipantObjectIdentification")
        if each[0].get("csd-code") == code
    ]


def roles(root: Element) -> dict[str, str | None]:
    """UserID by the code of the role."""
    return {
        code.get("csd-code", ""): participant.get("UserID")
        for participant in root.findall("ActiveParticipant")
        for code in participant.findall("RoleIDCode")
    }


def details(root: Element) -> dict[str, str]:
    return {
        each.get("type", ""): base64.b64decode(each.get("value", "")).decode()
        for each in root.iter("ParticipantObjectDetail")
    }


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_valid(name: str) -> None:
    bare: dict[str, Any] = {"study_uids": [], "patient_ids": [], "query": "", "source_ip": None}
    for fields in ({}, bare, {"principal_id": ""}):
        root = message(name, **fields)
        assert_valid(root)
        assert_of_the_kind(root, KINDS[name])


TRANSFERS = {"store", "retrieve", "access", "delete", "delete_instances", "export", "share_used", "import"}


@pytest.mark.parametrize("name", sorted(TRANSFERS))
def test_what_moves_images_names_study_and_patient(name: str) -> None:
    root = message(name)
    assert (ids(root, "110180"), ids(root, "2")) == ([UID], ["P-77"])
    study, patient = root.findall("ParticipantObjectIdentification")
    assert (study.get("ParticipantObjectTypeCode"), study.get("ParticipantObjectTypeCodeRole")) == ("2", "3")
    assert (patient.get("ParticipantObjectTypeCode"), patient.get("ParticipantObjectTypeCodeRole")) == ("1", "1")
    assert patient[0].get("codeSystemName") == "RFC-3881"
    assert root.find(".//Accession[@Number='ACC1']") is not None
    assert root.find(".//SOPClass[@NumberOfInstances='3']") is not None
    assert ids(message(name, study_uids=["1.2.9"]), "2") == ["unknown"]


def test_directions() -> None:
    person = "0b5e7c0e-0000-4000-8000-000000000001"
    assert roles(message("retrieve")) == {"110152": person, "110153": "pacs.example.org"}
    assert roles(message("store")) == {"110153": person, "110152": "pacs.example.org"}
    assert roles(message("search")) == {"110153": person, "110152": "pacs.example.org"}
    exported = roles(message("share_used", path="/s/open"))
    assert exported == {"110152": person, "110153": "pacs.example.org", "110154": "https://pacs.example.org/s/open"}
    assert message("export").find(".//MediaType[@csd-code='110037']") is not None
    assert set(roles(message("import"))) == {"110152", "110155"}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_requestors(name: str) -> None:
    asking = [each for each in message(name) if each.get("UserIsRequestor") == "true"]
    assert len(asking) == (0 if KINDS[name].event_id == "110100" else 1)


def test_sign_in_has_the_network_access_point() -> None:
    person = message("sign_in").findall("ActiveParticipant")[0]
    assert (person.get("NetworkAccessPointID"), person.get("NetworkAccessPointTypeCode")) == ("192.0.2.7", "2")
    nowhere = message("sign_in", source_ip=None).findall("ActiveParticipant")[0]
    assert (nowhere.get("NetworkAccessPointID"), nowhere.get("NetworkAccessPointTypeCode")) == ("unknown", "1")
    shell = message("user_changed", source_ip=None, principal_kind="system")[1]
    assert shell.get("NetworkAccessPointID") == "pacs.example.org"


def test_a_query_is_told_in_base64() -> None:
    found = message("search").find(".//ParticipantObjectQuery")
    assert found is not None
    assert base64.b64decode(found.text or "") == b"PatientID=P-77"
    assert message("search").find(".//ParticipantObjectIDTypeCode[@csd-code='110181']") is not None


def test_alerts_and_the_log() -> None:
    refused = message("refused", outcome=4, outcome_description="not granted", decision="deny", rule="scope:retrieve")
    assert refused[0].get("EventOutcomeIndicator") == "4"
    assert refused[0].findtext("EventOutcomeDescription") == "not granted"
    told = details(refused)
    assert (told["Alert Description"], told["Decision"], told["Rule"]) == ("not granted", "deny", "scope:retrieve")
    log = message("read_trail").find(".//ParticipantObjectIdentification[@ParticipantObjectTypeCodeRole='13']")
    assert log is not None
    assert log.findtext("ParticipantObjectName") == "Security Audit Log"


def test_ours_is_in_the_details() -> None:
    found = details(message("retrieve", purpose="TREAT", series_uid="1.2.3"))
    assert found["RequestID"] == "req-1"
    assert (found["Bytes"], found["Purpose"], found["SeriesInstanceUID"]) == ("4096", "TREAT", "1.2.3")
    assert found["Sequence"] == "41"


def test_source_site_and_time() -> None:
    source = message("retrieve").find("AuditSourceIdentification")
    assert source is not None
    assert source.attrib == {"AuditSourceID": "pacs.example.org", "AuditEnterpriseSiteID": "Site 7"}
    east = AT.astimezone(timezone(timedelta(hours=9)))
    assert message("retrieve", recorded_at=east)[0].get("EventDateTime") == "2030-01-31T12:30:15.250000+00:00"


def test_a_kind_of_another_version_is_told_as_an_alert() -> None:
    event = an_event(KINDS["retrieve"])
    event.kind = "of_next_year"
    root = ElementTree.fromstring(audit_message(event, SOURCE, {}))  # noqa: S314 - ours
    assert_valid(root)
    assert root[0][0].get("csd-code") == "110113"


ANYTHING = st.text(st.characters(), min_size=0, max_size=30)


@given(
    name=ANYTHING, description=ANYTHING, query=ANYTHING, patient=ANYTHING, path=ANYTHING,
    kind=st.sampled_from(sorted(KINDS)),
)  # fmt: skip
def test_well_formed_and_the_same_twice(
    name: str, description: str, query: str, patient: str, path: str, kind: str
) -> None:
    fields: dict[str, Any] = {
        "principal_name": name, "outcome_description": description, "query": query, "patient_ids": [patient],
        "path": path, "user_agent": name, "rule": description,
    }  # fmt: skip
    event = an_event(KINDS[kind], **fields)
    xml = audit_message(event, SOURCE, SUBJECTS)
    assert_valid(ElementTree.fromstring(xml))  # noqa: S314 - ours
    assert audit_message(event, SOURCE, SUBJECTS) == xml
    assert xml.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")


def test_control_characters_do_not_break_it() -> None:
    root = message("refused", outcome_description="a\0b\x1bc\ud800d]]><x/>\r\n", principal_name="\x08")
    text = root[0].findtext("EventOutcomeDescription")
    assert text is not None
    assert text.startswith("a\ufffdb\ufffdc\ufffdd]]><x/>")
