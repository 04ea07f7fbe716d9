"""PS3.18 8.5: each status, with what has to come with it."""

from __future__ import annotations

import pytest
import requests
from pydicom.uid import generate_uid

from tests.conformance.marks import clause
from tests.conformance.site import INSTANCES, JSON, Corpus, Site
from tests.conformance.trap_server import STORE_TYPE, multipart, problem_of
from tests.dicomweb.objects import make_data_set, make_object, to_bytes


@clause("8.5-304")
def test_8_5_304_for_what_the_client_has(site: Site, stored: Corpus) -> None:
    for path, accept in (
        (stored.slices[0].path, "application/dicom"),
        (f"{stored.slices[0].path}/metadata", JSON),
        (f"{stored.slices[0].path}/frames/1", "application/octet-stream"),
    ):
        first = site.get(path, accept)
        again = site.get(path, accept, If_None_Match=first.headers["ETag"])
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert site.get(path, accept, If_None_Match='"another"').status_code == 200


@clause("8.5-400")
def test_8_5_400_for_what_is_malformed(site: Site, stored: Corpus) -> None:
    for path in ("studies?limit=x", f"{stored.slices[0].path}/frames/0", f"{stored.slices[0].path}/rendered?window=x"):
        assert problem_of(site.get(path), 400)["detail"]
    # nor is a request line that is no HTTP ever anything else
    assert site.raw("GET", "/dicom-web/studies HTTP/9.9\r\nX:").status == 400


@clause("8.5-401")
def test_8_5_401_with_a_challenge(site: Site, stored: Corpus) -> None:
    for path in ("studies", stored.slices[0].path, "studies/1.2.3", "wado"):
        answer = requests.get(f"{site.root}/{path}", timeout=60)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"]
    wrong = requests.get(f"{site.root}/studies", headers={"Authorization": "Bearer nonsense"}, timeout=60)
    assert wrong.status_code == 401


@clause("8.5-403")
def test_8_5_403_for_who_may_not(site: Site, stored: Corpus) -> None:
    """A technologist may not delete."""
    assert problem_of(site.send("DELETE", stored.other.path), 403)["code"] == "forbidden"
    assert site.get(f"{stored.other.path}/metadata", JSON).status_code == 200


@clause("8.5-404", "10.4.3.1-404")
def test_8_5_404_for_what_is_not_there(site: Site, stored: Corpus) -> None:
    nobody = generate_uid()
    paths = (
        f"studies/{nobody}",
        f"studies/{nobody}/metadata",
        f"{stored.slices[0].study}/series/{nobody}",
        f"{stored.slices[0].series}/instances/{nobody}",
        f"{stored.slices[0].path}/frames/99",
        f"{stored.slices[0].path}/bulkdata/00100010",
        "studies/not-a-uid",
    )
    for path in paths:
        problem_of(site.get(path), 404)


@clause("8.5-405")
def test_8_5_405_with_allow(site: Site, stored: Corpus) -> None:
    for method, path in (("PUT", "studies"), ("DELETE", "studies"), ("POST", stored.slices[0].path), ("PATCH", "wado")):
        answer = site.send(method, path)
        problem_of(answer, 405)
        allowed = {name.strip() for name in answer.headers["Allow"].split(",")}
        assert "GET" in allowed
        assert method not in allowed


@clause("8.5-406", "10.4.3.1-406")
def test_8_5_406_with_the_media_types_there_are(site: Site, stored: Corpus) -> None:
    path = stored.slices[0].path
    for resource, there in (("/metadata", JSON), ("/rendered", "image/png"), ("", "application/dicom")):
        assert there in problem_of(site.get(path + resource, "text/csv"), 406)["detail"]


@clause("8.5-409", "10.5.3.1-409")
def test_8_5_409_for_a_conflict(site: Site, stored: Corpus) -> None:
    changed = make_data_set(SOPInstanceUID=stored.slices[0].ds.SOPInstanceUID, StudyDescription="another")
    answer = site.post([to_bytes(changed)])
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0111]
    assert site.get(stored.slices[0].path, "application/dicom").content == stored.slices[0].data


@clause("8.5-410")
def test_8_5_410_is_404_for_what_was_deleted(site: Site) -> None:
    administrator = site.live.machine("administrator")
    path = site.store(make_object())
    for _ in range(2):
        assert administrator.delete(f"{site.root}/{path}", timeout=60).status_code == 204, "deleting is idempotent"
    problem_of(site.get(path, INSTANCES), 404)


@clause("8.5-413")
def test_8_5_413_for_a_body_that_is_too_large(site: Site) -> None:
    item = {"00081150": {"vr": "UI", "Value": ["1.2.3"]}, "00081155": {"vr": "UI", "Value": ["1.2.3.4"]}}
    module = {"00081199": {"vr": "SQ", "Value": [item] * 51}}
    headers = {"Content-Type": JSON, "Accept": JSON}
    answer = site.send("POST", f"commitment-requests/{generate_uid()}", json=module, headers=headers)
    problem_of(answer, 413)


@clause("8.5-414")
def test_8_5_414_for_a_request_line_that_is_too_long(site: Site) -> None:
    answer = site.ask("studies?PatientID=" + "1" * 9_000)
    assert (answer.status, answer.header("Content-Type")) == (414, "application/problem+json")


@clause("8.5-415", "10.5.3.1-415")
@pytest.mark.parametrize("media_type", ["text/plain", 'multipart/related; type="image/png"; boundary=x', "image/jpeg"])
def test_8_5_415_with_those_that_are_taken(site: Site, media_type: str) -> None:
    answer = site.send("POST", "studies", data=b"x", headers={"Content-Type": media_type})
    assert "application/dicom" in problem_of(answer, 415)["detail"]


@clause("8.5-501")
def test_8_5_501_is_a_failure_reason_for_an_unsupported_sop_class(site: Site) -> None:
    directory = make_data_set(SOPClassUID="1.2.840.10008.1.3.10")
    answer = site.send(
        "POST", "studies", data=multipart([to_bytes(directory)]), headers={"Content-Type": STORE_TYPE, "Accept": JSON}
    )
    assert answer.status_code == 409
    [item] = [item for tag in ("00081198", "0008119A") for item in answer.json().get(tag, {}).get("Value", [])]
    assert item["00081197"]["Value"] == [0x0122]
