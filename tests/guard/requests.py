"""The requests of the table: a study with a series of slices, and who asks for it by token and by session."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import numpy as np
from django.test import Client as Browser
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, set_token_value

from access.models import Client, User, UserRole
from archive.models import Series
from archive.tasks import TASKS
from hl7.interfaces import Peer
from hl7.models import Hl7Interface
from hl7.receive import receive
from tests.dicomweb.conftest import BOUNDARY, body_of, multipart_body
from tests.dicomweb.objects import make_object
from tests.hl7.messages import ORDER, REGISTER, code, wire

ROOT: Final = "1.2.826.0.1.3680043.8.498.88"
SLICES: Final = 3
_OCTETS: Final = 'multipart/related; type="application/octet-stream"'
_JSON: Final = "application/dicom+json"
_STORED: Final = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
_BATCH: Final = 50
# Each changes the name of the patient, and moves the visit.
_NEWS: Final = REGISTER.replace("|A1|", "|guard-{n}|").replace("MÜLLER", "MÜLLER{n}").replace("RAD^R1", "RAD^R{n}")
_ORDER: Final = (
    ORDER.replace("|O1|", "|guard-{n}|").replace("1^EPIC", "{n}^EPIC").replace("F1^RIS", "F{n}^RIS")
).replace("A100", "G{n}")


@dataclass(frozen=True)
class Site:
    """An archive with one study more for each call of ``add``."""

    token: str
    session: Browser
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def made(cls) -> Site:
        """Empty, with a client and a person who may store and read everything."""
        client = Client.objects.create(name="guard", role="technologist")
        token = get_access_token_model()(
            application=client, expires=timezone.now() + timedelta(hours=1), scope="dicomweb"
        )
        set_token_value(token, "token-of-the-guard")
        token.save()
        user = User.objects.create_user("guard", password=None)
        UserRole.objects.create(user=user, role="technologist")
        session = Browser()
        session.force_login(user)
        Hl7Interface.objects.create(name="guard")
        site = cls("token-of-the-guard", session)
        site.add()
        return site

    def add(self) -> str:
        """Store a study with its thumbnails and metadata; its UID."""
        number = next(self._numbers)
        uid = f"{ROOT}.{number}"
        self.store([slice_of(uid, n, PatientID=f"G{number}") for n in range(1, SLICES + 1)])
        for series in Series.objects.filter(study__study_instance_uid=uid).values_list("pk", flat=True):
            TASKS["series_thumbnail"](str(series))
        self.get(f"studies/{uid}/metadata", _JSON)
        return uid

    def get(self, path: str, accept: str, *, browser: bool = False, **headers: str) -> Any:
        """The answer, read to its end and closed; by the token, or by the session."""
        headers = {"accept": accept} | {name.replace("_", "-"): value for name, value in headers.items()}
        http = self.session if browser else Browser()
        if not browser:
            headers["authorization"] = f"Bearer {self.token}"
        answer: Any = http.get(f"/dicom-web/{path}", headers=headers)
        assert answer.status_code in (200, 304), (path, answer.status_code, body_of(answer)[:300])
        for _ in answer.streaming_content if answer.streaming else ():
            pass
        answer.close()
        return answer

    def store(self, objects: list[bytes]) -> None:
        """STOW-RS of ``objects`` by the token; all of them must be kept."""
        headers = {"authorization": f"Bearer {self.token}", "accept": _JSON}
        body = multipart_body(objects)
        answer = Browser().post("/dicom-web/studies", body, content_type=_STORED, headers=headers)
        assert answer.status_code == 200, answer.content[:500]


def slice_of(study: str, number: int, **values: Any) -> bytes:
    """A small CT slice of the one series of ``study``."""
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.{number}"}
    pixels = (np.arange(12 * 16, dtype="<u2") * number % 4096).tobytes()
    return make_object(**{**uids, "InstanceNumber": number, "PixelData": pixels, **values})


def asks(site: Site) -> Mapping[str, Callable[[], object]]:
    """Each row of the table as a call, which is good for any number of times."""
    study, patient = f"{ROOT}.1", "studies?PatientID=G1"
    series = f"studies/{study}/series/{study}.1"
    instance = f"{series}/instances/{study}.1.2"
    listed = "studies?limit=10&includefield=00081030,00080060"

    def get(path: str, accept: str, **more: Any) -> Callable[[], object]:
        return lambda: site.get(path, accept, **more)

    def known(path: str, accept: str) -> Callable[[], object]:
        tag = site.get(path, accept)["ETag"]
        return get(path, accept, If_None_Match=tag)

    def first_frame() -> None:
        from audit import frame_reads

        frame_reads.forget()
        site.get(f"{instance}/frames/1", _OCTETS)

    def new(count: int) -> Callable[[], object]:
        def store() -> None:
            uid = f"{ROOT}.0.{next(site._numbers)}"
            site.store([slice_of(uid, n) for n in range(1, count + 1)])

        return store

    def another() -> None:
        site.store([slice_of(f"{ROOT}.9999", next(site._numbers))])

    def hears(message: str) -> Callable[[], object]:
        def send() -> None:
            answer = receive(wire(message.replace("{n}", str(next(site._numbers)))), Peer("mllp", "127.0.0.1")).now
            assert code(answer) == "AA", answer

        return send

    batch = [slice_of(f"{ROOT}.9998", n) for n in range(1, _BATCH + 1)]
    return {
        "frame, by a token": get(f"{instance}/frames/1", _OCTETS),
        "frame, by a session": get(f"{instance}/frames/1", _OCTETS, browser=True),
        "frame, the first of a window": first_frame,
        "search by Patient ID": get(patient, _JSON),
        "search by Patient ID, by a session": get(patient, _JSON, browser=True),
        "study list": get(listed, _JSON),
        "studies of a period": get("studies?StudyDate=20240101-20240131", _JSON),
        "series of a study": get(f"studies/{study}/series", _JSON),
        "instances of a series": get(f"{series}/instances", _JSON),
        "metadata of a series": get(f"{series}/metadata", _JSON, Accept_Encoding="gzip"),
        "metadata of a series, which the client has": known(f"{series}/metadata", _JSON),
        "metadata of a study": get(f"studies/{study}/metadata", _JSON, Accept_Encoding="gzip"),
        "instance": get(instance, "application/dicom"),
        "study": get(f"studies/{study}", 'multipart/related; type="application/dicom"'),
        "rendered": get(f"{instance}/rendered", "image/jpeg"),
        "rendered, by a session": get(f"{instance}/rendered", "image/jpeg", browser=True),
        "thumbnail": get(f"{instance}/thumbnail", "image/jpeg"),
        "thumbnail, which the client has": known(f"{instance}/thumbnail", "image/jpeg"),
        "store one instance of a known series": another,
        "store one instance of a new study": new(1),
        "store 50 instances of a new study": new(_BATCH),
        "store 50 instances again": lambda: site.store(batch),
        "HL7 message about a known patient": hears(_NEWS),
        "HL7 message with a new order": hears(_ORDER),
    }
