"""PS3.18 8.2 to 8.3.3: target resources, the query string and content negotiation in it."""

from __future__ import annotations

import requests

from tests.conformance.marks import clause
from tests.conformance.site import INSTANCES, JSON, Corpus, Site
from tests.conformance.trap_server import problem_of, value


@clause("8.2")
def test_8_2_urls_in_answers_lead_to_the_resource(site: Site, stored: Corpus) -> None:
    uid = stored.slices[0].ds.StudyInstanceUID
    [study] = site.search(f"studies?StudyInstanceUID={uid}")
    url = value(study, "00081190")
    assert url == f"{site.root}/studies/{uid}"
    got = site.get(f"{url}/metadata", JSON)
    assert {value(each, "0020000D") for each in got.json()} == {uid}


@clause("8.3")
def test_8_3_unsupported_parameters_are_ignored_and_named_and_invalid_values_are_400(
    site: Site, stored: Corpus
) -> None:
    uid = stored.other.ds.StudyInstanceUID
    answer = site.get(f"studies?StudyInstanceUID={uid}&nosuchparameter=1", JSON)
    assert [value(each, "0020000D") for each in answer.json()] == [uid]
    assert answer.headers["Warning"].startswith("299 ")
    assert "nosuchparameter" in answer.headers["Warning"]
    for query in ("limit=many", "offset=-1", "StudyDate=yesterday", "fuzzymatching=perhaps"):
        problem_of(site.get(f"studies?{query}", JSON), 400)


@clause("8.3.1")
def test_8_3_1_names_are_case_sensitive_and_values_percent_encoded_utf_8(site: Site, stored: Corpus) -> None:
    study = str(stored.slices[0].ds.StudyInstanceUID)
    found = site.search("studies?PatientName=M%C3%BCller%5EJ%C3%BCrgen")
    assert study in [value(each, "0020000D") for each in found]
    answer = site.get("studies?patientname=nobody", JSON)
    assert "patientname" in answer.headers["Warning"]
    assert answer.json(), "as if the parameter were not there"
    for broken in ("M%FCller", "%zz"):
        assert site.ask(f"studies?PatientName={broken}", f"Accept: {JSON}").status == 400


@clause("8.3.3.1")
def test_8_3_3_1_accept_in_the_query_goes_before_the_header(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/rendered"
    assert site.get(f"{path}?accept=image/png", "image/*").headers["Content-Type"] == "image/png"
    assert site.get(f"{path}?accept=image/png;q=0.1,image/gif", "*/*").headers["Content-Type"] == "image/gif"
    metadata = f"{stored.slices[0].path}/metadata"
    # "+" of a media type may come percent-encoded or not
    for asked in ("application/dicom%2Bjson", "application/dicom+json"):
        assert site.get(f"{metadata}?accept={asked}", "*/*").headers["Content-Type"] == JSON


@clause("8.3.3.1-mixed")
def test_8_3_3_1_mixed_kinds_in_the_query_get_the_best_of_them(site: Site, stored: Corpus) -> None:
    answer = site.get(f"{stored.slices[0].path}/rendered?accept=application/dicom,image/png", "*/*")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")


@clause("8.3.3.2")
def test_8_3_3_2_charset_in_the_query(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/metadata"
    for charset in ("utf-8", "UTF-8", "ISO_IR%20192", "iso-8859-1,utf-8;q=0.5"):
        assert site.get(f"{path}?charset={charset}", JSON).status_code == 200, charset
    for charset in ("iso-8859-1", "klingon"):
        problem_of(site.get(f"{path}?charset={charset}", JSON), 400)


@clause("8.7.3.6")
def test_8_7_3_6_transfer_syntax_in_the_query_is_of_the_uri_service_alone(site: Site, stored: Corpus) -> None:
    answer = site.get(f"{stored.slices[0].path}?transferSyntax=1.2.840.10008.1.2.4.50", INSTANCES)
    assert isinstance(answer, requests.Response)
    assert answer.status_code == 200
    assert b"transfer-syntax=1.2.840.10008.1.2.1\r\n" in answer.content[:400]
