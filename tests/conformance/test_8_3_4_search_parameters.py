"""PS3.18 8.3.4.2 to 8.3.4.6: fuzzy matching, includefield, paging, empty and multiple values."""

from __future__ import annotations

from dicomweb_client.api import DICOMwebClient

from tests.conformance.marks import clause
from tests.conformance.site import JSON, XML, Corpus, Site
from tests.conformance.trap_server import problem_of, value


def uids(site: Site, query: str, tag: str = "0020000D") -> list[str]:
    return [value(each, tag) for each in site.search(query)]


@clause("8.3.4.2")
def test_8_3_4_2_fuzzy_matching_of_person_names(site: Site, stored: Corpus) -> None:
    study = stored.slices[0].ds.StudyInstanceUID
    assert study in uids(site, "studies?PatientName=jurgen mull&fuzzymatching=true")
    assert study not in uids(site, "studies?PatientName=jurgen mull&fuzzymatching=false")
    assert study not in uids(site, "studies?PatientName=jurgen mull")


@clause("8.3.4.3")
def test_8_3_4_3_includefield_as_list_repeated_and_all(site: Site, stored: Corpus) -> None:
    at = f"{stored.slices[0].series}/instances?InstanceNumber=1"
    for query in (
        "includefield=StudyDescription,00081030,SeriesDescription",
        "includefield=00081030&includefield=0008103E",
        "includefield=all",
    ):
        [answer] = site.search(f"{at}&{query}")
        assert (value(answer, "00081030"), value(answer, "0008103E")) == ("Thorax", "Lung")
    [everything] = site.search(f"{at}&includefield=all")
    assert everything["00200032"]["Value"] == [1.5, -2, 3]
    [plain] = site.search(at)
    assert "00200032" not in plain


@clause("8.3.4.3-private")
def test_8_3_4_3_private_attributes_with_their_creator(site: Site, stored: Corpus) -> None:
    at = f"{stored.slices[0].series}/instances?InstanceNumber=2&includefield=00291001"
    [answer] = site.search(at)
    assert (value(answer, "00290010"), value(answer, "00291001")) == ("CONFORMANCE", "private 2")


@clause("8.3.4.4")
def test_8_3_4_4_limit_and_offset(site: Site, stored: Corpus) -> None:
    at = f"{stored.slices[0].series}/instances"
    whole = uids(site, at, "00080018")
    assert len(whole) == 3
    assert uids(site, f"{at}?limit=2", "00080018") == whole[:2]
    assert uids(site, f"{at}?limit=2&offset=2", "00080018") == whole[2:]
    assert uids(site, f"{at}?offset=3", "00080018") == []
    for query in ("limit=-1", "offset=x", "limit=1.5"):
        problem_of(site.get(f"{at}?{query}", JSON), 400)


@clause("8.3.4.4.1")
def test_8_3_4_4_1_pages_are_of_one_order(site: Site) -> None:
    """The foreign client asks page after page until one is empty."""
    client: DICOMwebClient = site.client
    found = client.search_for_instances(limit=2, get_remaining=True)
    whole = site.search("instances")
    assert [value(each, "00080018") for each in found] == [value(each, "00080018") for each in whole]
    assert len({value(each, "00080018") for each in found}) == len(found)


@clause("8.3.4.4.1-none")
def test_8_3_4_4_1_none_is_an_empty_array_in_json_and_204_in_xml(site: Site) -> None:
    answer = site.get("studies?PatientID=nobody", JSON)
    assert (answer.status_code, answer.json()) == (200, [])
    assert site.get("studies?PatientID=nobody", XML).status_code == 204


@clause("8.3.4.4.1-remaining")
def test_8_3_4_4_1_remaining_ones_are_told_by_link_and_count(site: Site) -> None:
    answer = site.get("instances?limit=2&count=true", JSON)
    assert "Warning" not in answer.headers
    assert 'rel="next"' in answer.headers["Link"]
    assert int(answer.headers["X-Total-Count"]) == len(site.search("instances"))


@clause("8.3.4.5")
def test_8_3_4_5_empty_value_matching(site: Site, stored: Corpus) -> None:
    empty = "studies?AccessionNumber=%22%22"
    assert stored.other.ds.StudyInstanceUID in uids(site, f"{empty}&emptyvaluematching=true")
    assert stored.slices[0].ds.StudyInstanceUID not in uids(site, f"{empty}&emptyvaluematching=true")
    assert uids(site, empty) == []


@clause("8.3.4.6")
def test_8_3_4_6_multiple_value_matching(site: Site, stored: Corpus) -> None:
    study = stored.slices[0].ds.StudyInstanceUID
    every = "&multiplevaluematching=true"
    assert study in uids(site, "studies?ModalitiesInStudy=CT%5CMR" + every)
    assert study not in uids(site, "studies?ModalitiesInStudy=CT%5CXA" + every)
    assert study in uids(site, "studies?ModalitiesInStudy=CT%5CXA")
