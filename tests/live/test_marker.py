"""No patient's name, birth date or identifier in logs, task arguments, error texts or addresses of our making.

One installation with worker and relay, one marked patient, everything that the doors can do with it, well and badly.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, generate_uid
from redis import Redis
from redis.exceptions import RedisError

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.live.marker import PATIENT, WORDS, broker_dump, leaks, logs_of
from tests.live.rounds import chunked
from tests.live.senders import post, store
from tests.live.server import LivePacs

NAME, IDENTIFIER, BORN = PATIENT["PatientName"], PATIENT["PatientID"], PATIENT["PatientBirthDate"]
# Not Link: the next page of a search repeats the address that its caller wrote.
HEADERS_OF_OURS = ("Location", "Content-Location", "Warning", "Content-Disposition", "ETag")


class Overheard:
    """All that anybody tells the broker while it listens."""

    def __init__(self, url: str) -> None:
        self.said: list[bytes] = []
        self._broker = Redis.from_url(url)
        self._monitor = self._broker.monitor()  # type: ignore[no-untyped-call]
        self._monitor.__enter__()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            for command in self._monitor.listen():
                self.said.append(command["command"].encode("utf-8", "surrogateescape"))
        except (RedisError, OSError, ValueError, AttributeError):
            return

    def close(self) -> None:
        self._monitor.__exit__(None, None, None)
        self._broker.close()


@pytest.fixture(scope="module")
def live() -> Iterator[LivePacs]:
    installation = LivePacs()
    try:
        yield installation.start()
    finally:
        installation.stop()


def eventually(condition: Callable[[], bool]) -> bool:
    """Did it come true within two minutes?"""
    until = time.monotonic() + 120
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.5)
    return met


class Told:
    """Answers as they come: refusals and the header fields of all of them must not name the patient."""

    def __init__(self, live: LivePacs, session: requests.Session) -> None:
        self.live, self.session = live, session
        self.texts: dict[str, bytes] = {}
        self.statuses: list[int] = []

    def ask(self, path: str, *, method: str = "GET", **options: object) -> requests.Response:
        answer = self.session.request(method, f"{self.live.url}/{path}", timeout=60, allow_redirects=False, **options)  # type: ignore[arg-type]
        number = len(self.statuses)
        self.statuses.append(answer.status_code)
        assert answer.status_code < 500, (path, answer.text)
        fields = "\n".join(answer.headers.get(field, "") for field in HEADERS_OF_OURS)
        self.texts[f"header fields of answer {number}"] = fields.encode()
        if answer.status_code >= 400:
            self.texts[f"refusal {number} ({answer.status_code})"] = answer.content
        return answer


def objects() -> list[bytes]:
    study, series = generate_uid(), generate_uid()
    same = {**PATIENT, "StudyInstanceUID": study, "SeriesInstanceUID": series}
    return [to_bytes(make_data_set(**same, InstanceNumber=number)) for number in (1, 2)]


def bad_objects() -> list[bytes]:
    """Objects that are refused, or stored with a warning, each for another reason."""
    whole = to_bytes(make_data_set(**PATIENT))
    return [
        whole[:400],
        to_bytes(make_data_set(**PATIENT, SOPInstanceUID=f"1.2.{NAME}")),
        to_bytes(make_data_set(**PATIENT, StudyDate=IDENTIFIER, StudyTime=IDENTIFIER, InstanceNumber=None)),
        to_bytes(make_data_set(**PATIENT | {"PatientID": IDENTIFIER * 9, "PatientBirthDate": NAME})),
        to_bytes(make_data_set(**PATIENT, PixelData=encapsulate([NAME.encode()])), JPEG2000Lossless),
        whole.replace(b"19700102", b"x" * 8) + NAME.encode(),
    ]


QUESTIONS = (
    "dicom-web/studies?PatientName={name}&PatientID={id}&PatientBirthDate={born}&includefield=all",
    "dicom-web/studies?PatientName={name}&limit=x",
    "dicom-web/studies?PatientName={name}&StudyDate={id}",
    "dicom-web/studies?PatientName={name}&orderby=NoSuchThing",
    "dicom-web/studies?limit=1&PatientID={id}&offset=0",
    "dicom-web/patients/{id}",
    "dicom-web/studies/{name}",
    "dicom-web/studies/{name}/series/{id}/instances/{born}",
    "{name}/{id}",
    "wado?requestType=WADO&studyUID={name}&seriesUID=1&objectUID=1",
)


def test_the_marked_patient_is_only_where_it_belongs(live: LivePacs, tmp_path: Path) -> None:
    broker = live.environment["PACS_REDIS_URL"]
    overheard = Overheard(broker)
    try:
        told = Told(live, live.machine("radiologist"))
        sender = live.machine("technologist")
        answer = post(live, sender, chunked(objects()))
        assert answer.status_code == 200
        study = answer.json()["00081190"]["Value"][0].removeprefix(f"{live.url}/")
        told.texts["the answer to a Store"] = answer.content
        for bad in bad_objects():
            refused = post(live, sender, chunked([bad]))
            assert refused.status_code in (200, 202, 400, 409), refused.text
            told.texts[f"Store {len(told.texts)}"] = refused.content
        self_written = {
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": NAME}]},
            "00100020": {"vr": "LO", "Value": [7]},
        }
        metadata = f"--b\r\nContent-Type: application/dicom+json\r\n\r\n{json.dumps([self_written])}\r\n--b--\r\n"
        kind = 'multipart/related; type="application/dicom+json"; boundary=b'
        refused = sender.post(
            f"{live.url}/dicom-web/studies", data=metadata, headers={"Content-Type": kind}, timeout=60
        )
        assert refused.status_code in (400, 409), refused.text
        told.texts["Store of metadata"] = refused.content
        made = {"name": quote(NAME), "id": quote(IDENTIFIER), "born": BORN}
        for question in QUESTIONS:
            told.ask(question.format(**made))
        for resource in (
            "",
            "/metadata",
            "/thumbnail",
            "/rendered",
            "/series",
            "/instances",
            "/frames/99",
            "/bulkdata",
        ):
            told.ask(f"{study}{resource}")
        told.ask(study, headers={"Accept": "application/zip"})
        told.ask(study, headers={"Accept": f'multipart/related; type="{NAME}"'})
        told.ask(study, headers={"Authorization": f"Bearer {NAME}"})
        told.ask(
            "oauth/token/", method="POST", data={"grant_type": NAME, "client_id": IDENTIFIER, "client_secret": NAME}
        )
        told.ask("share/token", method="POST", data={"secret": NAME, "pin": IDENTIFIER})
        told.ask("s/open", method="POST", data={"secret": NAME})
        told.ask("accounts/login/", method="POST", data={"username": IDENTIFIER, "password": NAME})
        told.ask("dicom-web/storage-commitments/1.2.3", method="POST", data=json.dumps(self_written))
        told.ask(study, method="DELETE")
        assert sender.get(f"{live.url}/{study}/metadata", timeout=60).status_code == 200
        assert {200, 400, 401, 403, 404} <= set(told.statuses), told.statuses

        folder = tmp_path / "in"
        folder.mkdir()
        for number, data in enumerate([*objects(), *bad_objects()]):
            (folder / f"{number}.dcm").write_bytes(data)
        imported = live.manage_anyhow("import_dicom", str(folder))
        told.texts["what an import said"] = (imported.stdout + imported.stderr).encode()
        uid = study.rpartition("/")[2]
        grant = live.manage_anyhow("grant_study", live.username, uid, "--all-of-patient", "--until", "2999-01-01")
        assert grant.returncode == 0, grant.stderr
        told.texts["what a grant said"] = (grant.stdout + grant.stderr).encode()
        for number in range(3):
            assert store(live, sender, []).status_code in (200, 400), number
        assert eventually(lambda: any(b"LPUSH" in said for said in overheard.said)), "no task went to the broker"
        assert eventually(
            lambda: live.query("SELECT count(*) FROM archive_series WHERE thumbnail_instance IS NOT NULL") != [(0,)]
        )
        tasks = live.query("SELECT kind, subject, last_error FROM archive_outboxentry")
        told.texts["tasks left"] = repr(tasks).encode()
        told.texts["everything told to the broker"] = b"\n".join(overheard.said)
        places = told.texts | logs_of(live.home) | broker_dump(broker)
        assert any(place.endswith("web.log") for place in places)
        found = leaks(places)
        assert not found, found
    finally:
        overheard.close()


def test_the_search_for_leaks_finds_one(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" + os.urandom(8) + b"zzqxmarker")
    assert leaks(logs_of(tmp_path)) == ["a.log: ZZQX"]
    assert leaks({"here": b"\n".join(WORDS)}) == [f"here: {word.decode()}" for word in WORDS]
