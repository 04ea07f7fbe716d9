"""Traps 6 to 9, 11, 26 and 27: what viewers search for, and what they must find (PS3.18 8.3.4, 10.6)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.conformance.trap_server import VIEWER, TrapPacs, problem_of, value
from tests.dicomweb.objects import make_data_set, to_bytes

# OHIF 3.9's list of studies, as it leaves the browser: worklist filters, then paging, then the columns.
OHIF_LIST = (
    "studies?limit=101&offset=0&fuzzymatching=false"
    "&includefield=00081030%2C00080060%2C00080090%2C00100010%2C00100020%2C00080050%2C00080020%2C00080030"
)


def searched(site: TrapPacs, query: str) -> list[dict[str, Any]]:
    answer = site.get(query, "application/dicom+json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/dicom+json"), answer.text
    # Modality is no attribute of studies (ModalitiesInStudy is): OHIF asks for it all the same, and is told.
    told = answer.headers.get("Warning", "")
    asked = query.startswith("studies?") and "00080060" in query
    assert ("includefield=00080060" in told) == asked
    assert told.count("is not supported") == asked
    found: list[dict[str, Any]] = answer.json()
    return found


def uids(answers: list[dict[str, Any]], tag: str = "0020000D") -> list[str]:
    return [value(answer, tag) for answer in answers]


def stored(site: TrapPacs, count: int = 1, **values: Any) -> list[Dataset]:
    """Slices with ``values``, each a study of its own unless they say otherwise."""
    slices = [make_data_set(**({"InstanceNumber": n} | values)) for n in range(1, count + 1)]
    site.store(*map(to_bytes, slices))
    return slices


def test_trap_06_nothing_found_is_an_empty_list_and_errors_are_problems(site: TrapPacs) -> None:
    """PS3.18 10.6.3, RFC 9457: never an odd empty body, never an error as 200."""
    nobody = generate_uid()
    for path in ("studies", "series", "instances", f"studies/{nobody}/series", f"studies/{nobody}/instances"):
        answer = site.get(f"{path}?StudyInstanceUID={nobody}", "application/dicom+json")
        if path.startswith("studies/"):
            answer = site.get(path, "application/dicom+json")
        assert (answer.status_code, answer.content) == (200, b"[]"), path
        assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == ("application/dicom+json", "2")
    refused = {
        "studies?limit=x": 400,
        "studies?StudyDate=yesterday": 400,
        "studies?PatientName=%ff": 400,
        f"studies/{nobody}": 404,
        f"studies/{nobody}/metadata": 404,
        f"studies/{nobody}/series/1/instances/2/frames/1": 404,
    }
    for path, status in refused.items():
        answer = site.get(path, Origin=VIEWER)
        problem = problem_of(answer, status)
        assert problem["code"], path
        assert answer.headers["Access-Control-Allow-Origin"] == VIEWER


def test_trap_07_the_study_list_of_ohif(site: TrapPacs) -> None:
    """PS3.18 8.3.4, tables 10.6.3-3 and 10.6.1-5: letter by letter what OHIF sends, and every column it shows."""
    uid, word = generate_uid(), "Ohifson"
    common = {"StudyInstanceUID": uid, "PatientName": f"{word}^Olga", "PatientID": "OHIF-7", "AccessionNumber": "AC7"}
    stored(
        site,
        2,
        **common,
        SeriesInstanceUID=generate_uid(),
        Modality="CT",
        StudyDescription="Knee left",
        StudyDate="20240201",
    )
    stored(site, 1, **common, Modality="SR", StudyDescription="Knee left", StudyDate="20240201")
    stored(site, 1, PatientName="Someone^Else", Modality="MR", StudyDate="20230101")
    forms = (
        f"PatientName=*{word.lower()}*",
        "PatientName=%2Aohifs%2A",
        "00100020=*OHIF-7*",
        "PatientID=OHIF-7&00080020=20240101-20241231",
        "AccessionNumber=*AC7*&00100010=Ohif*",
        "StudyDescription=*nee*&PatientID=OHIF-7",
        "ModalitiesInStudy=SR&PatientID=OHIF-7",
        "ModalitiesInStudy=CT%2CMR&PatientID=OHIF-7",
        "00080061=CT%5CMR&00100020=OHIF-7",
        f"StudyInstanceUID={uid}",
    )
    for form in forms:
        [answer] = searched(site, f"{OHIF_LIST}&{form}")
        assert value(answer, "0020000D") == uid, form
        assert (value(answer, "00201206"), value(answer, "00201208")) == (2, 3)
        assert sorted(answer["00080061"]["Value"]) == ["CT", "SR"]
        assert value(answer, "00080056") == "ONLINE"
        assert value(answer, "00100010") == {"Alphabetic": f"{word}^Olga"}
        assert [value(answer, tag) for tag in ("00100020", "00080050", "00081030")] == ["OHIF-7", "AC7", "Knee left"]
        assert [value(answer, tag) for tag in ("00080020", "00080030", "00200010")] == ["20240201", "101530", "S1"]
    repeated = "studies?includefield=StudyDescription&includefield=00080060,00100040&PatientID=OHIF-7&limit=101"
    [answer] = searched(site, repeated)
    assert (value(answer, "00081030"), value(answer, "00100040")) == ("Knee left", "F")
    everything = searched(site, OHIF_LIST)
    assert uid in uids(everything)
    assert len(everything) > 1
    assert uid not in uids(searched(site, f"{OHIF_LIST}&ModalitiesInStudy=MR"))
    assert searched(site, f"{OHIF_LIST}&PatientID=OHIF-7&StudyDate=20240202-20241231") == []


def test_trap_08_only_lists_of_uids_are_cut(site: TrapPacs) -> None:
    """PS3.18 8.3.4.1: commas by the standard, backslashes by OHIF; "Doe, John" is one value."""
    slices = stored(site, 3, PatientID="LIST-8")
    wanted = [str(ds.StudyInstanceUID) for ds in slices]
    for separator in (",", "%2C", "\\", "%5C", "%5c"):
        listed = separator.join(wanted[:2])
        for name in ("StudyInstanceUID", "0020000D"):
            assert sorted(uids(searched(site, f"studies?{name}={listed}"))) == sorted(wanted[:2]), separator
    instances = "%5C".join(str(ds.SOPInstanceUID) for ds in slices)
    assert sorted(uids(searched(site, f"instances?SOPInstanceUID={instances}"))) == sorted(wanted)
    [odd] = stored(
        site, 1, PatientID="COMMA-8", PatientName="Doe, John", AccessionNumber="A,8", StudyDescription="a, b"
    )
    for query in ("PatientName=Doe, John", "AccessionNumber=A,8", "StudyDescription=a, b", "PatientName=Doe,*"):
        name, _, text = query.partition("=")
        for spelt in (text, quote(text)):
            found = uids(searched(site, f"studies?PatientID=COMMA-8&{name}={spelt}"))
            assert found == [str(odd.StudyInstanceUID)], query
    for query in ("PatientName=Doe", "PatientName=John", "AccessionNumber=A", "StudyDescription=b"):
        assert searched(site, f"studies?PatientID=COMMA-8&{query}") == [], query


def test_trap_09_series_know_their_study_and_their_number_of_instances(site: TrapPacs) -> None:
    """PS3.18 tables 10.6.3-4 and 10.6.3-5: below a study, and relational."""
    study, series = generate_uid(), generate_uid()
    slices = stored(site, 3, StudyInstanceUID=study, SeriesInstanceUID=series, PatientID="UP-9")
    for path in (f"studies/{study}/series", f"series?StudyInstanceUID={study}", "series?PatientID=UP-9"):
        [answer] = searched(site, path)
        assert (value(answer, "0020000D"), value(answer, "0020000E")) == (study, series)
        assert (value(answer, "00201209"), value(answer, "00080060"), value(answer, "00200011")) == (3, "CT", 1)
        assert value(answer, "00081190") == f"{site.root}/studies/{study}/series/{series}"
    for path in (
        f"studies/{study}/series/{series}/instances",
        f"studies/{study}/instances",
        "instances?PatientID=UP-9",
    ):
        answers = searched(site, path)
        assert sorted(uids(answers, "00080018")) == sorted(str(ds.SOPInstanceUID) for ds in slices)
        assert {(value(a, "0020000D"), value(a, "0020000E")) for a in answers} == {(study, series)}
    [answer] = searched(site, f"studies?StudyInstanceUID={study}")
    assert (value(answer, "00201206"), value(answer, "00201208")) == (1, 3)


def test_trap_11_paging_ends_and_loses_nothing(site: TrapPacs) -> None:
    """PS3.18 8.3.4.4: the Python client's loop, equal sort keys, data that arrive, and the Warning at the limit."""
    slices = stored(site, 23, PatientID="PAGE-11", StudyDate="20200101", StudyTime="120000")
    every = sorted(str(ds.StudyInstanceUID) for ds in slices)
    session = requests.Session()
    session.headers["Authorization"] = site.bearer
    client = DICOMwebClient(url=site.root, session=session)
    for limit in (1, 5, 23, 100):
        rows = client.search_for_studies(search_filters={"PatientID": "PAGE-11"}, limit=limit, get_remaining=True)
        assert sorted(uids(rows)) == every, limit
    once = uids(searched(site, "studies?PatientID=PAGE-11"))
    pages = [searched(site, f"studies?PatientID=PAGE-11&limit=4&offset={at}") for at in range(0, 28, 4)]
    assert [uid for page in pages for uid in uids(page)] == once
    assert pages[-1] == []
    assert searched(site, "studies?PatientID=PAGE-11&limit=4&offset=1000000") == []
    # By the Link header a page goes on behind the one before, whatever has arrived meanwhile.
    first = site.get("studies?PatientID=PAGE-11&limit=10")
    stored(site, 5, PatientID="PAGE-11", StudyDate="20250101")
    following, met = first, uids(first.json())
    while "next" in following.links:
        following = site.get(following.links["next"]["url"])
        met += uids(following.json())
    assert len(met) == len(set(met))
    assert set(every) <= set(met)
    cut = site.get("studies?limit=1000000")
    assert cut.status_code == 200
    assert "Warning" not in cut.headers or cut.headers["Warning"].startswith("299 ")


def granted(site: TrapPacs, study: str, role: str = "referring_physician") -> TrapPacs:
    """The installation as a machine sees it that was granted one study."""
    made = site.live.manage("create_client", f"granted-{generate_uid()[-12:]}", "--role", role)
    fields = {line.split()[0]: line.split()[1] for line in made.splitlines() if len(line.split()) > 1}
    site.live.manage("grant_study", fields["client_id"], study)
    answer = requests.post(
        f"{site.live.url}/oauth/token/",
        data={"grant_type": "client_credentials"},
        auth=(fields["client_id"], fields["client_secret"]),
        timeout=30,
    )
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return TrapPacs(site.live, session)


def test_trap_26_a_search_over_everything_finds_what_was_granted(site: TrapPacs) -> None:
    """OHIF asks for the list without any UID: what isn't granted doesn't exist, and nothing tells otherwise."""
    open_one, shut_one = stored(site, 2, PatientID="GRANT-26")
    theirs, nobody = granted(site, str(open_one.StudyInstanceUID)), generate_uid()
    for query in (OHIF_LIST, "studies", "studies?PatientID=GRANT-26", "series?PatientID=GRANT-26", "instances"):
        assert set(uids(searched(theirs, query))) == {str(open_one.StudyInstanceUID)}, query
    for uid in (str(shut_one.StudyInstanceUID), nobody):
        assert searched(theirs, f"studies?StudyInstanceUID={uid}") == []
        assert searched(theirs, f"studies/{uid}/series") == []
        problems = [problem_of(theirs.get(f"studies/{uid}{below}"), 404) for below in ("", "/metadata", "/thumbnail")]
        series = f"studies/{uid}/series/{shut_one.SeriesInstanceUID}/instances/{shut_one.SOPInstanceUID}"
        problems += [problem_of(theirs.get(f"{series}{below}"), 404) for below in ("/frames/1", "/bulkdata/7FE00010")]
        assert uid not in str(problems), "an answer that repeats the UID may differ for what is there"
        assert {problem["code"] for problem in problems} == {"not-found"}
    # Word for word the same for what exists and for what doesn't.
    there, missing = (theirs.get(f"studies/{uid}/metadata") for uid in (str(shut_one.StudyInstanceUID), nobody))
    assert there.content == missing.content
    assert theirs.get(f"studies/{open_one.StudyInstanceUID}/metadata").status_code == 200


@pytest.mark.parametrize("undated", [None, ""])
def test_trap_27_undated_studies_are_found_and_come_last(site: TrapPacs, undated: str | None) -> None:
    """The server filters nothing by itself; what has no date is last, and leaves only when a date is asked for."""
    patient = f"DATE-27{undated}"
    [none] = stored(site, 1, PatientID=patient, StudyDate=undated, StudyTime=undated)
    [old] = stored(site, 1, PatientID=patient, StudyDate="19530102")
    [new] = stored(site, 1, PatientID=patient, StudyDate="20240601")
    by_age = [str(ds.StudyInstanceUID) for ds in (new, old, none)]
    assert uids(searched(site, f"studies?PatientID={patient}")) == by_age
    assert uids(searched(site, f"{OHIF_LIST}&PatientID={patient}")) == by_age
    assert uids(searched(site, f"studies?PatientID={patient}&orderby=-StudyDate")) == by_age
    assert uids(searched(site, f"studies?PatientID={patient}&orderby=StudyDate")) == [by_age[1], by_age[0], by_age[2]]
    assert uids(searched(site, f"studies?PatientID={patient}&StudyDate=")) == by_age
    assert uids(searched(site, f"studies?PatientID={patient}&StudyDate=19000101-")) == by_age[:2]
    found = searched(site, f"studies?PatientID={patient}")
    assert "Value" not in found[2]["00080020"]
