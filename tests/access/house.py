"""A house with studies and somebody of each column of the matrix, asked from the outside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import orjson
import pytest
from django.db import transaction
from django.test import Client as HttpClient
from django.utils import timezone
from pydicom.dataset import Dataset

from access.links import Wish, make_link
from access.marking import restrict
from access.models import CustomRole, Grant, User, UserRole
from access.physician_names import set_physician_names
from access.restriction_models import Mark
from access.restrictions import marks
from access.rights import Right
from access.roles import ROLES
from archive.models import Study
from tests.access.conftest import MakeClient, MakePerson, MakeToken
from tests.access.matrix import COLUMNS, SITE, TEACHER, WARD, Door, cells, marked_cells
from tests.dicomweb.conftest import BOUNDARY, body_of, multipart_body
from tests.dicomweb.conftest import Door as Storing
from tests.dicomweb.objects import make_data_set, to_bytes

Where = Literal["inside", "outside", "marked"]
MACHINES = ("ai_vendor", "device")
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"


def bare(line: str) -> str:
    """``GET route`` without the remark behind it."""
    return re.sub(r" \([^()]*\)$", "", line)


@dataclass
class House:
    """Three studies by their UIDs, and somebody of each column who reaches the first; ``marked`` is like the first."""

    inside: dict[str, str]
    outside: dict[str, str]
    marked: dict[str, str]
    callers: dict[str, HttpClient] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)

    def ask(self, column: str, door: Door, line: str, study: dict[str, str]) -> tuple[str, bytes]:
        """The status of the answer and its body; whatever it changed is taken back."""
        method, _, route = bare(line).partition(" ")
        values = {**SAMPLES, **study}
        address = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], route)
        mount = self.mounts.get(column, "") if route.startswith(("dicom-web/", "viewer/")) and mountable(route) else ""
        headers = {"accept": door.accept, "origin": "http://testserver"}
        body = BODIES.get(line, nothing)(study)
        caller, cookies = self.callers[column], copy(self.callers[column].cookies)
        with transaction.atomic():
            response = caller.generic(
                method, f"{mount}/{address}{QUERIES.get(line, nothing_asked)(study)}", body[0], body[1], headers=headers
            )
            content = body_of(response)
            transaction.set_rollback(True)
        caller.cookies = cookies
        return str(response.status_code), content

    def differs(self, column: str, door: Door, line: str, where: Where, expected: str) -> str:
        """How the answer is another than expected, "" if it isn't. ``200-`` has nothing of the study."""
        caller = column
        if column == "share link" and not bare(line).partition(" ")[2].startswith(("dicom-web/", "viewer/")):
            caller = "share link, elsewhere"
        study: dict[str, str] = getattr(self, where)
        found, body = self.ask(caller, door, line, study)
        if (
            found == "200"
            and expected.endswith("-")
            and not any(study[k].encode() in body for k in ("instance", "study"))
        ):
            found = "200-"
        if found in expected.split(" or "):
            return ""
        return f"{line}: {column} {where}: {found} instead of {expected}"

    def wrong(self, door: Door, line: str, columns: Iterable[str] = COLUMNS) -> list[str]:
        """The cells of a line in which the product answers something else."""
        found = []
        for column, expected in cells(door.rows[line], door.nobody).items():
            if column in columns:
                wheres: tuple[Where, ...] = ("inside", "outside") if is_about_a_study(line) else ("inside",)
                found += [
                    self.differs(column, door, line, where, each) for where, each in zip(wheres, expected, strict=False)
                ]
        return [text for text in found if text]

    def wrong_of_marked(self, door: Door, line: str, columns: Iterable[str] = COLUMNS) -> list[str]:
        """The same for the study that is marked."""
        expected = marked_cells(door.rows[line], door.nobody)
        found = [self.differs(column, door, line, "marked", expected[column]) for column in columns]
        return [text for text in found if text]

    def mark(self) -> None:
        """From now on the study is marked."""
        restrict(Study.objects.get(study_instance_uid=self.marked["study"]), Mark.VIP, "a well-known person")
        marks.forget()


def is_about_a_study(line: str) -> bool:
    return ":study>" in line or line in QUERIES or line in BODIES or "changefeed" in line


def mountable(route: str) -> bool:
    return not route.startswith(("viewer/build/", "dicom-web/.well-known"))


# What stands for the parameters of routes: of what isn't there, but for the study's own UIDs.
SAMPLES = {
    "numbers": "1",
    "path": "7FE00010",
    "transaction": "1.2.826.0.1.3680043.8.498.99",
    "workitem": "1.2.826.0.1.3680043.8.498.97",
    "title": "NOBODY",
    "requester": "NOBODY",
    "mpps": "1.2.826.0.1.3680043.8.498.98",
    "tag": "00181030",
    "operation": "0" * 32,
    "role": "teacher",
    "build": "0",
    "name": "index.js",
    "route": "viewer",
    "event": "0",
    "alert": "1",
    **dict.fromkeys(("report", "version", "page", "place"), "1"),
    "grant": "0",
    "grant_id": "0",
    "finding": "0",
    "finding_id": "0",
    "hold": "0",
    "hold_id": "0",
    "rule": "0",
    "rule_id": "0",
    "plan": "0",
    "plan_id": "0",
    "certificate": "0",
    "certificate_id": "0",
    "act": "end",
    "message": "0",
    "number": "0",
    **dict.fromkeys(
        ("link", "access", "session", "key", "factor", "person", "client", "campaign", "account", "review"),
        "00000000-0000-0000-0000-000000000000",
    ),
}


def nothing(study: dict[str, str]) -> tuple[bytes, str]:
    return b"", "application/x-www-form-urlencoded"


def nothing_asked(study: dict[str, str]) -> str:
    return ""


def one_object(**values: Any) -> tuple[bytes, str]:
    body = multipart_body([to_bytes(make_data_set(**values))])
    return body, f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def commitment(study: dict[str, str]) -> tuple[bytes, str]:
    item = {
        "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00081155": {"vr": "UI", "Value": [study["instance"]]},
    }
    return orjson.dumps({"00081199": {"vr": "SQ", "Value": [item]}}), "application/dicom+json"


_STUDY = "dicom-web/studies/<uid:study>"
BODIES: dict[str, Callable[[dict[str, str]], tuple[bytes, str]]] = {
    "POST dicom-web/studies": lambda study: one_object(),
    f"POST {_STUDY}": lambda study: one_object(StudyInstanceUID=study["study"], PatientID=study["patient"]),
    f"POST {_STUDY} (annotation)": lambda study: one_object(
        StudyInstanceUID=study["study"],
        PatientID=study["patient"],
        SOPClassUID=PRESENTATION_STATE,
        Modality="PR",
        PixelData=None,
    ),
    "POST dicom-web/commitment-requests/<uid:transaction>": commitment,
}
QUERIES: dict[str, Callable[[dict[str, str]], str]] = {
    "GET dicom-web/wado": lambda study: (
        f"?requestType=WADO&studyUID={study['study']}&seriesUID={study['series']}&objectUID={study['instance']}"
    ),
    "GET dicom-web/studies": lambda study: f"?StudyInstanceUID={study['study']}",
    "GET dicom-web/series": lambda study: f"?StudyInstanceUID={study['study']}",
    "GET dicom-web/instances": lambda study: f"?StudyInstanceUID={study['study']}",
}


@pytest.fixture
def house(make_person: MakePerson, make_client: MakeClient, make_token: MakeToken) -> House:
    """The studies are stored, and people, machines and a link made, as a house does it."""
    storing = HttpClient()
    storing.force_login(make_person("technologist"))
    inside = make_data_set(
        InstitutionName=SITE,
        InstitutionalDepartmentName=WARD,
        ReferringPhysicianName="Refer^Robin",
        PatientID="IN",
    )
    outside = make_data_set(
        InstitutionName="South",
        InstitutionalDepartmentName="OR",
        ReferringPhysicianName="Other^Olga",
        PatientID="OUT",
    )
    marked = make_data_set(
        InstitutionName=SITE,
        InstitutionalDepartmentName=WARD,
        ReferringPhysicianName="Refer^Robin",
        PatientID="IN",
    )
    assert Storing(storing).store([to_bytes(each) for each in (inside, outside, marked)]).status_code == 200
    found = House(uids_of(inside), uids_of(outside), uids_of(marked))
    study = Study.objects.get(study_instance_uid=inside.StudyInstanceUID)
    CustomRole.objects.create(name="teacher", title="Teacher", rights=TEACHER)
    for column in COLUMNS:
        found.callers[column] = HttpClient()
        if column in MACHINES:
            client = make_client(column)
            Grant.objects.create(client=client, study=study)
            found.callers[column].defaults["HTTP_AUTHORIZATION"] = f"Bearer {make_token(client)}"
        elif column in ROLES or column == "teacher":
            found.callers[column].force_login(person(make_person, column, study))
    link(found, study)
    return found


def uids_of(ds: Dataset) -> dict[str, str]:
    return {
        "study": str(ds.StudyInstanceUID),
        "series": str(ds.SeriesInstanceUID),
        "instance": str(ds.SOPInstanceUID),
        "patient": str(ds.PatientID),
    }


def person(make_person: MakePerson, role: str, study: Study) -> User:
    """Somebody of this role, to whom the study inside is opened in the way of the role."""
    user = make_person(role, username=role)
    if role == "patient":
        Grant.objects.create(user=user, patient=study.patient)
    if role == "referring_physician":
        set_physician_names(user, ["Refer^Robin"])
    limits = {"nurse": ("department", [WARD]), "teacher": ("site", [SITE])}
    if role in limits:
        kind, values = limits[role]
        UserRole.objects.filter(user=user).update(limit_kind=kind, limit_values=values)
    return user


def link(house: House, study: Study) -> None:
    """A link to the study, opened in a browser: its cookie goes below the link's own addresses."""
    until = timezone.now() + timedelta(days=1)
    wish = Wish(study=study, recipient="Dr. R", purpose="Second opinion", until=until, rights=[Right.DOWNLOAD])
    made = make_link(wish, None, None, None)
    browser = house.callers["share link"]
    opened = browser.post("/s/open", {"secret": made.address.partition("#")[2]}, headers={"accept": "text/html"})
    assert opened.status_code == 200, opened.content
    house.mounts["share link"] = f"/share/{made.link.external_id}"
    token = browser.post("/share/token", {"secret": made.address.partition("#")[2]}).json()["access_token"]
    house.callers["share link, elsewhere"] = HttpClient(HTTP_AUTHORIZATION=f"Bearer {token}")
