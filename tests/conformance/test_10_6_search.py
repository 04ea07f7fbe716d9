"""PS3.18 10.6: the Search transaction, each row of its tables of resources and attributes."""

from __future__ import annotations

from typing import Any

import pytest
from dicomweb_client.web import _load_xml_dataset

from tests.conformance.marks import clause
from tests.conformance.site import JSON, XML, Corpus, Site
from tests.conformance.trap_server import parts_of, problem_of, value

OF_STUDIES = (
    *("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00080201", "00081190", "00100010"),
    *("00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"),
)
OF_SERIES = (
    *("00080060", "00080201", "0008103E", "00081190", "0020000E", "00200011", "00201209", "00400244", "00400245"),
    "00400275",
)
OF_INSTANCES = (
    "00080016",
    "00080018",
    "00080056",
    "00080201",
    "00081190",
    "00200013",
    "00280010",
    "00280011",
    "00280100",
)


def uids(answers: list[dict[str, Any]], tag: str) -> set[str]:
    return {value(each, tag) for each in answers}


@clause("10.6.1.1-studies", "10.6.3.1-200")
def test_10_6_1_1_studies_by_the_foreign_client(site: Site, stored: Corpus) -> None:
    patient = stored.slices[0].ds.PatientID
    found = site.client.search_for_studies(search_filters={"PatientID": patient}, fields=["StudyDescription"])
    assert uids(found, "0020000D") == {stored.slices[0].ds.StudyInstanceUID}
    everything = uids(site.client.search_for_studies(), "0020000D")
    assert {stored.slices[0].ds.StudyInstanceUID, stored.other.ds.StudyInstanceUID} <= everything


@clause("10.6.1.1-series")
def test_10_6_1_1_series_of_a_study(site: Site, stored: Corpus) -> None:
    wanted = {stored.slices[0].ds.SeriesInstanceUID, stored.frames.ds.SeriesInstanceUID}
    found = site.client.search_for_series(stored.slices[0].ds.StudyInstanceUID)
    assert uids(found, "0020000E") == wanted


@clause("10.6.1.1-instances")
def test_10_6_1_1_instances_of_a_study(site: Site, stored: Corpus) -> None:
    found = site.client.search_for_instances(stored.slices[0].ds.StudyInstanceUID)
    assert uids(found, "00080018") == {e.ds.SOPInstanceUID for e in (*stored.slices, stored.frames)}


@clause("10.6.1.1-all-series")
def test_10_6_1_1_all_series(site: Site, stored: Corpus) -> None:
    found = uids(site.search("series?limit=1000"), "0020000E")
    assert {stored.frames.ds.SeriesInstanceUID, stored.pdf.ds.SeriesInstanceUID} <= found


@clause("10.6.1.1-series-instances")
def test_10_6_1_1_series_instances(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    found = site.client.search_for_instances(ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert uids(found, "00080018") == {each.ds.SOPInstanceUID for each in stored.slices}


@clause("10.6.1.1-all-instances")
def test_10_6_1_1_all_instances(site: Site, stored: Corpus) -> None:
    found = uids(site.search("instances?limit=1000"), "00080018")
    assert {stored.slices[2].ds.SOPInstanceUID, stored.report.ds.SOPInstanceUID} <= found


@clause("10.6.1.2.1")
def test_10_6_1_2_1_attributes_of_the_levels_above(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    assert uids(site.search(f"series?PatientID={ds.PatientID}&Modality=CT"), "0020000E") == {ds.SeriesInstanceUID}
    found = site.search(f"instances?PatientID={ds.PatientID}&Modality=CT&InstanceNumber=2")
    assert uids(found, "00080018") == {stored.slices[1].ds.SOPInstanceUID}


def _matches(site: Site, path: str, tag: str, wanted: str, keys: dict[str, tuple[str, str]], within: str) -> None:
    """Each key with its value finds what is wanted and with another value does not, by keyword and by tag."""
    for keyword, (number, text) in keys.items():
        for name in (keyword, number):
            assert wanted in uids(site.search(f"{path}?{name}={text}&{within}"), tag), (name, text)
    for keyword, text in (("PatientID", "nobody"), ("StudyInstanceUID", "1.2.3")):
        assert site.search(f"{path}?{keyword}={text}") == []


@clause("10.6.1.2.3-study")
def test_10_6_1_2_3_study_keys(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    keys = {
        "StudyDate": ("00080020", "20240305"),
        "StudyTime": ("00080030", "101530"),
        "AccessionNumber": ("00080050", "CONF-A1"),
        "ModalitiesInStudy": ("00080061", "MR"),
        "ReferringPhysicianName": ("00080090", "Refer%5ERobin"),
        "PatientName": ("00100010", "M%C3%BCller*"),
        "PatientID": ("00100020", ds.PatientID),
        "StudyInstanceUID": ("0020000D", ds.StudyInstanceUID),
        "StudyID": ("00200010", "CONF-S1"),
    }
    _matches(site, "studies", "0020000D", ds.StudyInstanceUID, keys, "limit=500")


@clause("10.6.1.2.3-series")
def test_10_6_1_2_3_series_keys(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    keys = {
        "Modality": ("00080060", "CT"),
        "SeriesInstanceUID": ("0020000E", ds.SeriesInstanceUID),
        "SeriesNumber": ("00200011", "1"),
        "PerformedProcedureStepStartDate": ("00400244", "20240305"),
        "PerformedProcedureStepStartTime": ("00400245", "101600"),
        "RequestAttributesSequence.ScheduledProcedureStepID": ("00400275.00400009", "SPS-1"),
        "RequestAttributesSequence.RequestedProcedureID": ("00400275.00401001", "RP-1"),
    }
    within = f"StudyInstanceUID={ds.StudyInstanceUID}"
    _matches(site, "series", "0020000E", ds.SeriesInstanceUID, keys, within)
    for key in ("Modality=XA", "SeriesNumber=9", "PerformedProcedureStepStartDate=19990101"):
        assert site.search(f"series?{key}&{within}") == []


@clause("10.6.1.2.3-instance")
def test_10_6_1_2_3_instance_keys(site: Site, stored: Corpus) -> None:
    ds = stored.slices[1].ds
    keys = {
        "SOPClassUID": ("00080016", ds.SOPClassUID),
        "SOPInstanceUID": ("00080018", ds.SOPInstanceUID),
        "InstanceNumber": ("00200013", "2"),
    }
    within = f"StudyInstanceUID={ds.StudyInstanceUID}"
    _matches(site, "instances", "00080018", ds.SOPInstanceUID, keys, within)
    assert site.search(f"instances?InstanceNumber=9&{within}") == []


@clause("10.6.3.1-400")
@pytest.mark.parametrize("query", ["limit=x", "StudyDate=2024", "StudyInstanceUID=x", "SeriesNumber=a"])
def test_10_6_3_1_400_for_malformed_searches(site: Site, query: str) -> None:
    problem_of(site.get(f"series?{query}", JSON), 400)


@clause("10.6.3.1-413")
def test_10_6_3_1_413_is_a_warning_at_the_limit_of_the_server(site: Site) -> None:
    answer = site.get("instances?limit=20000", JSON)
    assert answer.status_code == 200
    assert len(answer.json()) <= 10_000


@clause("10.6.3.3.1")
def test_10_6_3_3_1_attributes_of_studies(site: Site, stored: Corpus) -> None:
    [found] = site.search(f"studies?StudyInstanceUID={stored.slices[0].ds.StudyInstanceUID}")
    assert set(OF_STUDIES) <= set(found)
    assert (found["00080061"]["Value"], value(found, "00201206"), value(found, "00201208")) == (["CT", "MR"], 2, 4)
    assert (value(found, "00080056"), value(found, "00080201")) == ("ONLINE", "+0100")
    # a required attribute without a value is there without one
    [other] = site.search(f"studies?StudyInstanceUID={stored.other.ds.StudyInstanceUID}")
    assert other["00080050"] == {"vr": "SH"}


@clause("10.6.3.3.2")
def test_10_6_3_3_2_attributes_of_series(site: Site, stored: Corpus) -> None:
    series = stored.slices[0].ds.SeriesInstanceUID
    [found] = site.search(f"{stored.slices[0].study}/series?SeriesInstanceUID={series}")
    assert set(OF_SERIES) - {"00080201"} <= set(found)
    assert (value(found, "00201209"), value(found, "0020000D")) == (3, stored.slices[0].ds.StudyInstanceUID)
    assert found["00400275"]["Value"] == [
        {"00400009": {"vr": "SH", "Value": ["SPS-1"]}, "00401001": {"vr": "SH", "Value": ["RP-1"]}}
    ]
    [above] = site.search(f"series?SeriesInstanceUID={series}")
    assert {*OF_STUDIES, *OF_SERIES} - {"00080061", "00201206", "00201208"} <= set(above), "with those of the study"


@clause("10.6.3.3.3")
def test_10_6_3_3_3_attributes_of_instances(site: Site, stored: Corpus) -> None:
    [found] = site.search(f"{stored.frames.series}/instances")
    assert set(OF_INSTANCES) - {"00080201"} <= set(found)
    assert [value(found, tag) for tag in ("00280010", "00280011", "00280100", "00280008")] == [12, 16, 16, 3]
    assert value(found, "00081190") == f"{site.root}/{stored.frames.path}"
    [above] = site.search(f"instances?SOPInstanceUID={stored.frames.ds.SOPInstanceUID}")
    assert {"00100010", "00080050", "00080060", "00200011"} <= set(above), "with those of study and series"


@clause("10.6.4")
def test_10_6_4_json_and_xml_say_the_same(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].study}/series"
    found = site.search(path)
    parts = parts_of(site.get(path, XML))
    assert {headers["content-type"] for headers, _ in parts} == {"application/dicom+xml"}
    from xml.etree.ElementTree import fromstring

    read = [_load_xml_dataset(fromstring(document)) for _, document in parts]  # noqa: S314
    assert [each.SeriesInstanceUID for each in read] == [value(each, "0020000E") for each in found]
    assert [str(each.PatientName) for each in read if "PatientName" in each] == [
        value(each, "00100010")["Alphabetic"] for each in found if "00100010" in each
    ]
