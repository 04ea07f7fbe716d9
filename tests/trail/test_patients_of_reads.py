"""Whose images were read stands in the event of each read (PS3.15 A.5.3.6 and A.5.3.7), as they were then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from audit.models import AccessEvent
from tests.dicomweb.conftest import Door, door_for, technologist
from tests.dicomweb.objects import make_object
from trail.disclosures import disclosures

__all__ = ["door_for", "technologist"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def study(technologist: Door, settings: Any, tmp_path: Path) -> str:
    """One object of the patient PAT-7."""
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "SOPInstanceUID": generate_uid()}
    assert technologist.store([make_object(PatientID="PAT-7", **uids)]).status_code == 200
    study, series, instance = uids.values()
    return f"studies/{study}/series/{series}/instances/{instance}"


@pytest.mark.parametrize(
    ("below", "accept", "kind"),
    [
        ("", 'multipart/related; type="application/dicom"', "retrieve"),
        ("", "application/dicom", "retrieve"),
        ("", "application/zip", "export"),
        ("/metadata", None, "access"),
        ("/frames/1", None, "retrieve"),
        ("/pixeldata", None, "retrieve"),
        ("/bulkdata", None, "retrieve"),
        ("/rendered", "image/png", "access"),
        ("/frames/1/rendered", "image/png", "access"),
        ("/thumbnail", None, "access"),
    ],
)
def test_every_read_names_the_patient(
    technologist: Door, study: str, below: str, accept: str | None, kind: str
) -> None:
    answer = technologist.get(study + below, accept)
    assert answer.status_code == 200, answer
    event = AccessEvent.objects.order_by("-sequence")[0]
    assert (event.kind, event.patient_ids) == (kind, ["PAT-7"])


def test_a_zip_is_a_disclosure(technologist: Door, study: str) -> None:
    assert disclosures("PAT-7", "") == []
    assert technologist.get(study, "application/zip").status_code == 200
    [told] = disclosures("PAT-7", "")
    assert (told.how, told.instances) == ("exported", 1)
