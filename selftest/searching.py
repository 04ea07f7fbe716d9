"""Checks of the Search transaction (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from selftest.objects import DATE
from selftest.run import DICOM_JSON, NotOffered, Run, expect, expect_that, values

STUDY = "0020000D"
SERIES = "0020000E"
INSTANCE = "00080018"
PATIENT_NAME = "00100010"
STUDY_DESCRIPTION = "00081030"


def studies(run: Run) -> None:
    """By Study Instance UID; with what table 10.6.1-5 requires."""
    found = run.search("studies", StudyInstanceUID=run.study.uid)
    _only(values(found, STUDY), [run.study.uid])
    expect_that(values(found, "00100020") == [run.study.patient_id], "Patient ID (0010,0020) is missing or another")
    counts = [values(found, tag)[0] for tag in ("00201206", "00201208")]
    expect_that(counts == [2, 3], f"numbers of series and instances are {counts}, expected [2, 3]")


def series(run: Run) -> None:
    """The two series of the study, with their modalities."""
    found = run.search(f"studies/{run.study.uid}/series")
    _only(values(found, SERIES), [run.study.slices[0].series, run.study.compressed.series])
    expect_that(set(values(found, "00080060")) == {"CT", "OT"}, "Modality (0008,0060) is missing or another")


def instances(run: Run) -> None:
    """The instances of the study, and those of one series."""
    found = run.search(f"studies/{run.study.uid}/instances")
    _only(values(found, INSTANCE), [each.instance for each in run.study.instances])
    found = run.search(f"studies/{run.study.uid}/series/{run.study.slices[0].series}/instances")
    _only(values(found, INSTANCE), [each.instance for each in run.study.slices])


def by_tag(run: Run) -> None:
    """An attribute may be named by its tag."""
    found = run.search("studies", **{"00100020": run.study.patient_id})
    _only(values(found, STUDY), [run.study.uid])


def wild_card(run: Run) -> None:
    """``*`` stands for any characters, ``?`` for one."""
    text = run.study.patient_id
    for pattern in (f"{text[:-3]}*", f"?{text[1:]}", f"*{text[3:]}"):
        found = run.search("studies", PatientID=pattern, StudyInstanceUID=run.study.uid)
        _only(values(found, STUDY), [run.study.uid])
    _only(values(run.search("studies", PatientID=f"{text}?", StudyInstanceUID=run.study.uid), STUDY), [])


def list_of_uids(run: Run) -> None:
    """Several UIDs, by comma."""
    wanted = [each.instance for each in run.study.slices]
    found = run.search(f"studies/{run.study.uid}/instances", SOPInstanceUID=",".join(wanted))
    _only(values(found, INSTANCE), wanted)


def date_range(run: Run) -> None:
    """Closed, open at either end, and one that the study is not in."""
    year = DATE[:4]
    ranges = {f"{year}0101-{year}1231": 1, f"{DATE}-": 1, f"-{DATE}": 1, f"{year}0301-{year}0302": 0}
    for text, count in ranges.items():
        found = run.search("studies", StudyDate=text, StudyInstanceUID=run.study.uid)
        expect_that(len(found) == count, f"StudyDate={text} finds {len(found)} studies, expected {count}")


def modalities(run: Run) -> None:
    """ModalitiesInStudy of one of them finds the study."""
    for modality, count in (("CT", 1), ("OT", 1), ("MG", 0)):
        found = run.search("studies", ModalitiesInStudy=modality, StudyInstanceUID=run.study.uid)
        expect_that(len(found) == count, f"ModalitiesInStudy={modality} finds {len(found)} studies, expected {count}")


def nothing(run: Run) -> None:
    """200 with an empty array, or 204; not 404."""
    expect_that(not run.search("studies", PatientID=f"{run.study.patient_id}-NOBODY"), "somebody else is found")


def includefield(run: Run) -> None:
    """By keyword, by tag and ``all``."""
    for name in ("StudyDescription", STUDY_DESCRIPTION, "all"):
        found = run.search("studies", StudyInstanceUID=run.study.uid, includefield=name)
        given = values(found, STUDY_DESCRIPTION)
        expect_that(given == ["Self test"], f"includefield={name} does not give Study Description (0008,1030)")


def paging(run: Run) -> None:
    """Pages of one give each instance once, in the same order twice."""
    path = f"studies/{run.study.uid}/instances"
    rounds = []
    for _ in range(2):
        pages = [run.search(path, limit="1", offset=str(offset)) for offset in range(4)]
        expect_that([len(page) for page in pages] == [1, 1, 1, 0], "limit=1 does not give pages of 1, 1, 1 and 0")
        rounds.append([values(page, INSTANCE)[0] for page in pages[:3]])
    _only(rounds[0], [each.instance for each in run.study.instances])
    expect_that(rounds[0] == rounds[1], "the order of the answers changes from one search to the next")


def characters(run: Run) -> None:
    """A name with characters beyond ASCII comes as it was stored."""
    (name,) = values(run.search("studies", StudyInstanceUID=run.study.uid, includefield="PatientName"), PATIENT_NAME)
    given = name.get("Alphabetic") if isinstance(name, dict) else None
    expect_that(given == "Selftest^Größe", "Patient's Name (0010,0010) is not as stored")


def warning(run: Run) -> None:
    """What is not supported is named, or refused; not passed over in silence."""
    query = {"StudyInstanceUID": run.study.uid, "NoSuchKeywordOfDicom": "1"}
    answer = run.server.send("GET", "studies", accept=DICOM_JSON, query=query)
    if answer.status == 400:
        return
    expect(answer, 200)
    said = answer.headers.get("Warning") or ""
    expect_that(said.startswith("299 "), "an unknown parameter is passed over without a Warning header field")


def malformed(run: Run) -> None:
    """A value that its VR does not permit, and a limit that is no number."""
    for query in ("StudyDate=yesterday", "limit=many"):
        answer = run.server.send("GET", "studies", accept=DICOM_JSON, query=query)
        expect_that(400 <= answer.status < 500, f"{query}: status {answer.status}, expected 4xx")


def as_xml(run: Run) -> None:
    """``multipart/related; type="application/dicom+xml"``, one part an answer."""
    accept = 'multipart/related; type="application/dicom+xml"'
    query = {"StudyInstanceUID": run.study.uid}
    answer = run.server.send("GET", "studies", accept=accept, query=query)
    if answer.status == 406:
        raise NotOffered("status 406")
    expect(answer, 200)
    parts = answer.parts()
    expect_that(len(parts) == 1, f"{len(parts)} parts, expected 1")
    expect_that(b"NativeDicomModel" in parts[0][1], "the part is no NativeDicomModel document (PS3.19 A.1)")


def _only(found: Iterable[Any], wanted: Iterable[str]) -> None:
    got, expected = sorted(map(str, found)), sorted(wanted)
    expect_that(len(got) == len(expected), f"{len(got)} answers, expected {len(expected)}")
    expect_that(got == expected, "the answers are about something else")
