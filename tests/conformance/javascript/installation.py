"""What the pages talk to: an installation that lets their origin in, and somebody who may store and read all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests
from pydicom.dataset import Dataset

from tests.live.rounds import STORE_TYPE, chunked
from tests.live.server import LivePacs


@dataclass(frozen=True, slots=True)
class Installation:
    """A running server that is open to another origin, with the session of a technologist."""

    live: LivePacs
    session: requests.Session

    @property
    def root(self) -> str:
        return f"{self.live.url}/dicom-web"

    @property
    def connection(self) -> dict[str, Any]:
        """The options that dicomweb-client is made with."""
        return {"url": self.root, "headers": {"Authorization": self.session.headers["Authorization"]}}

    def store(self, *objects: bytes) -> None:
        """STOW-RS of Part 10 objects that must all be taken."""
        answer = self.session.post(
            f"{self.root}/studies",
            data=chunked(objects),
            headers={"Content-Type": STORE_TYPE, "Accept": "application/dicom+json"},
            timeout=60,
        )
        assert answer.status_code in (200, 202), answer.text
        assert "00081198" not in answer.json(), answer.text

    def part10(self, ds: Dataset) -> bytes:
        """The stored object, as Python reads it."""
        answer = self.session.get(
            f"{self.root}/{path_of(ds)}", headers={"Accept": "application/dicom; transfer-syntax=*"}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return answer.content


def address_of(ds: Dataset) -> dict[str, str]:
    """The UIDs of `ds` under the names that dicomweb-client has for them."""
    return {
        "studyInstanceUID": str(ds.StudyInstanceUID),
        "seriesInstanceUID": str(ds.SeriesInstanceUID),
        "sopInstanceUID": str(ds.SOPInstanceUID),
    }


def path_of(ds: Dataset) -> str:
    """The resource of the instance below the root."""
    return f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
