"""STOW-RS (PS3.18 10.5)."""

from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, make_object, to_bytes


def test_an_instance_is_stored_found_and_retrieved_byte_for_byte(technologist: Door) -> None:
    ds = make_data_set()
    data = to_bytes(ds)
    response = technologist.store([data])
    assert response.status_code == 200, response.content
    reference = response.json()["00081199"]["Value"][0]
    assert reference["00081155"]["Value"] == [ds.SOPInstanceUID]
    assert response["Content-Type"] == "application/dicom+json"

    [study] = technologist.search("studies", PatientID="P1")
    assert study["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert study["00201208"]["Value"] == [1]

    url = reference["00081190"]["Value"][0]
    path = url.split("/dicom-web/")[1]
    got = technologist.get(path, accept="application/dicom; transfer-syntax=*")
    assert got.status_code == 200
    assert body_of(got) == data
    meta = technologist.get(f"{path}/metadata")
    assert meta.json()[0]["00080018"]["Value"] == [ds.SOPInstanceUID]
    frame = technologist.get(f"{path}/frames/1", accept="application/octet-stream")
    assert body_of(frame) == ds.PixelData
    rendered = technologist.get(f"{path}/rendered", accept="image/jpeg")
    assert body_of(rendered)[:2] == b"\xff\xd8"
