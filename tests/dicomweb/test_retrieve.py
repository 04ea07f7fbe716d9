"""WADO-RS of whole objects (PS3.18 10.4.1.1.1): byte for byte, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from archive.errors import ArchiveUnavailable
from archive.models import Instance
from archive.object_store import object_store
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000_LOSSLESS
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import encapsulated, packaged
from tests.dicomweb.reading import parts_of, problem_of

DICOM = "application/dicom"


@pytest.fixture
def study(technologist: Door) -> dict[str, Any]:
    """Two series, three transfer syntaxes: Explicit LE and JPEG 2000 in the first, deflated in the second."""
    uid, first, second = generate_uid(), generate_uid(), generate_uid()
    ds = make_data_set(StudyInstanceUID=uid, SeriesInstanceUID=first)
    explicit = to_bytes(ds)
    packed, _ = encapsulated(
        [[b"\xff\x4f\xff\x51" + bytes(60)]],
        JPEG_2000_LOSSLESS.uid,
        StudyInstanceUID=uid,
        SeriesInstanceUID=first,
        InstanceNumber=2,
    )
    deflated = to_bytes(
        make_data_set(StudyInstanceUID=uid, SeriesInstanceUID=second, SeriesNumber=2), DeflatedExplicitVRLittleEndian
    )
    objects = [explicit, packed, deflated]
    assert technologist.store(reversed(objects)).status_code == 200
    paths = [f"studies/{uid}/series/{first}/instances/{ds.SOPInstanceUID}"]
    return {
        "study": f"studies/{uid}",
        "series": f"studies/{uid}/series/{first}",
        "instance": paths[0],
        "objects": objects,
    }


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        f'multipart/related; type="{DICOM}"',
        f"multipart/related; type={DICOM}; transfer-syntax=*",
        f'multipart/related; type="{DICOM}"; transfer-syntax=*, */*;q=0.1',
    ],
)
@pytest.mark.parametrize(("level", "count"), [("study", 3), ("series", 2), ("instance", 1)])
def test_objects_leave_byte_for_byte_in_order(
    technologist: Door, study: dict[str, Any], accept: str | None, level: str, count: int
) -> None:
    response = technologist.get(study[level], accept=accept)
    assert response["Content-Type"].startswith(f'multipart/related; type="{DICOM}"; boundary='), "trap 4"
    assert "Content-Length" in response
    parts = parts_of(response)
    assert [payload for _, payload in parts] == study["objects"][:count]
    syntaxes = [EXPLICIT_VR_LITTLE_ENDIAN.uid, JPEG_2000_LOSSLESS.uid, str(DeflatedExplicitVRLittleEndian)]
    for (headers, _), uid in zip(parts, syntaxes, strict=False):
        assert headers["content-type"] == f"{DICOM}; transfer-syntax={uid}"
        assert headers["content-location"].startswith(f"http://testserver/dicom-web/{study['study']}/series/")
    assert parts[0][0]["content-location"] == f"http://testserver/dicom-web/{study['instance']}"


@pytest.mark.parametrize(
    "accept", [DICOM, f"{DICOM}; transfer-syntax=*", f"{DICOM}; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN.uid}"]
)
def test_one_object_comes_alone_when_asked_so(technologist: Door, study: dict[str, Any], accept: str) -> None:
    """Trap 15."""
    response = technologist.get(study["instance"], accept=accept)
    assert body_of(response) == study["objects"][0]
    assert response["Content-Type"] == f"{DICOM}; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN.uid}"
    assert int(response["Content-Length"]) == len(study["objects"][0])
    problem_of(technologist.get(study["study"], accept=accept), 406)


@pytest.mark.parametrize(
    "accept",
    ["image/jpeg", "application/pdf", f'multipart/related; type="{DICOM}"; transfer-syntax=1.2.840.10008.1.2.4.50'],
)
def test_what_there_is_not_is_406(technologist: Door, study: dict[str, Any], accept: str) -> None:
    problem = problem_of(technologist.get(study["instance"], accept=accept), 406)
    assert DICOM in problem["detail"]


def test_absent_uids_are_404(technologist: Door, study: dict[str, Any]) -> None:
    other = generate_uid()
    for path in (f"studies/{other}", f"{study['study']}/series/{other}", f"{study['series']}/instances/{other}"):
        assert problem_of(technologist.get(path), 404)["code"] == "not-found"


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "CT_small.dcm"]
)
def test_files_of_every_kind_come_back(technologist: Door, name: str) -> None:
    data = packaged(name)
    response = technologist.store([data])
    assert response.status_code in (200, 202), response.content
    path = response.json()["00081199"]["Value"][0]["00081190"]["Value"][0].partition("/dicom-web/")[2]
    [(_, payload)] = parts_of(technologist.get(path))
    assert payload == data
    assert technologist.get(f"{path}/metadata").status_code == 200


def test_an_implicit_object_names_its_transfer_syntax(technologist: Door) -> None:
    ds = make_data_set()
    assert technologist.store([to_bytes(ds, ImplicitVRLittleEndian)]).status_code == 200
    [(headers, _)] = parts_of(technologist.get(f"studies/{ds.StudyInstanceUID}"))
    assert headers["content-type"] == f"{DICOM}; transfer-syntax={ImplicitVRLittleEndian}"


def test_a_first_object_that_is_lost_is_503(technologist: Door, study: dict[str, Any]) -> None:
    object_store().delete(Instance.objects.order_by("series__series_number", "instance_number")[0].object_key)
    for level in ("study", "series", "instance"):
        response = technologist.get(study[level])
        assert problem_of(response, 503)["code"] == "unavailable"
        assert response["Retry-After"]


@pytest.mark.parametrize("large", [True, False])
def test_a_later_object_that_is_lost_breaks_the_body_off(technologist: Door, large: bool) -> None:
    """The length was promised: a broken connection is better than an answer that looks whole.

    As long as nothing has left, there is still a better answer: 503.
    """
    uid, more = generate_uid(), {"PatientComments": "x" * 100_000} if large else {}
    for number in (1, 2):
        ds = make_data_set(StudyInstanceUID=uid, SeriesNumber=number, **more)
        assert technologist.store([to_bytes(ds)]).status_code == 200
    object_store().delete(Instance.objects.order_by("series__series_number")[1].object_key)
    response = technologist.get(f"studies/{uid}")
    if not large:
        problem_of(response, 503)
        return
    assert response.status_code == 200
    with pytest.raises(ArchiveUnavailable):
        body_of(response)


def test_head_sends_headers_alone(technologist: Door, study: dict[str, Any]) -> None:
    response = technologist.http.head(f"/dicom-web/{study['instance']}", headers={"accept": DICOM})
    assert (response.status_code, body_of(response)) == (200, b"")
    assert int(response["Content-Length"]) == len(study["objects"][0])


def test_queries_do_not_grow_with_instances(technologist: Door) -> None:
    uid = generate_uid()
    counts = []
    for number in (1, 20):
        technologist.store([to_bytes(make_data_set(StudyInstanceUID=uid)) for _ in range(number)])
        with CaptureQueriesContext(connection) as queries:
            body_of(technologist.get(f"studies/{uid}"))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4


def test_other_methods_are_405(technologist: Door, study: dict[str, Any]) -> None:
    response = technologist.http.put(f"/dicom-web/{study['series']}", headers={"origin": "http://testserver"})
    assert problem_of(response, 405)["code"] == "method-not-allowed"
