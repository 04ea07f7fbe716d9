"""The files that pydicom ships, through a real server and back, with each object store."""

from __future__ import annotations

from pathlib import Path

import pydicom
from dicomweb_client.api import DICOMwebClient

from tests.live.rounds import candidates, round_trip
from tests.live.server import LivePacs

FILES = Path(pydicom.__file__).parent / "data/test_files"


def test_files_of_pydicom(any_store: LivePacs) -> None:
    paths = [(path.name, path) for path in sorted(FILES.iterdir()) if path.is_file()]
    report = round_trip(any_store, candidates(paths))
    assert not report.problems, "\n".join(report.problems)
    assert report.stored >= 60, report
    assert report.frames >= 60, report


def test_stored_by_the_foreign_client(file_store: LivePacs) -> None:
    """dicomweb-client encodes and stores data sets (chunked), and gets them back equal."""
    client = DICOMwebClient(url=f"{file_store.url}/dicom-web", session=file_store.machine("technologist"))
    names = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "examples_jpeg2k.dcm")
    for name in names:
        sent = pydicom.dcmread(FILES / name)
        answer = client.store_instances([sent])
        assert "ReferencedSOPSequence" in answer, name
        assert "FailedSOPSequence" not in answer, name
        got = client.retrieve_instance(sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
        assert got == sent, name
