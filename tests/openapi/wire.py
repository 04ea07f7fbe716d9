"""Schemathesis against a running installation, by the schema that the installation itself gives out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import EncapsulatedPDFStorage

from dicom.xml import to_xml
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.live.rounds import STORE_TYPE, chunked
from tests.live.server import ROOT, LivePacs

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
# Of every kind: native, deflated and compressed pixels, several frames, none at all, big endian.
FILES = (
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_overlay.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",
    "reportsi.dcm",
    "rtdose_1frame.dcm",
)
# Seconds that a machine may stand still.
_PATIENCE = 120
# An overloaded server may say so, where the document names it; how often it does is looked at in its log.
_CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""


@dataclass(frozen=True)
class Outcome:
    """Whether schemathesis found something, and what it said."""

    failed: bool
    text: str
    report: dict[str, Any]


def objects() -> Iterator[bytes]:
    """Packaged files and a document."""
    for name in FILES:
        yield Path(str(get_testdata_file(name, download=False))).read_bytes()
    yield to_bytes(
        make_data_set(
            SOPClassUID=EncapsulatedPDFStorage,
            StudyInstanceUID="1.2.826.0.1.3680043.8.498.1",
            SeriesInstanceUID="1.2.826.0.1.3680043.8.498.1.1",
            SOPInstanceUID="1.2.826.0.1.3680043.8.498.1.1.1",
            EncapsulatedDocument=b"%PDF-1.4\n" * 400,
            MIMETypeOfEncapsulatedDocument="application/pdf",
            **dict.fromkeys(("PixelData", "Rows", "Columns", "WindowCenter", "WindowWidth")),
        )
    )


def perishable() -> Iterator[bytes]:
    """What may be deleted while others read; it is stored again, too."""
    for number in range(8):
        study = f"1.2.826.0.1.3680043.8.498.2.{number // 4}"
        yield to_bytes(
            make_data_set(
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.{number // 2}",
                SOPInstanceUID=f"{study}.{number // 2}.{number}",
            )
        )


def run(live: LivePacs, *, seconds: int, seed: int) -> Outcome:
    """Store something, then let schemathesis knock at every door for so many seconds."""
    sessions = {role: live.machine(role) for role in ("technologist", "administrator", "auditor")}
    lasting, passing = list(objects()), list(perishable())
    answer = sessions["technologist"].post(
        f"{live.url}/dicom-web/studies",
        data=chunked([*lasting, *passing]),
        headers={"Content-Type": STORE_TYPE},
        timeout=_PATIENCE,
    )
    assert answer.status_code in (200, 202), answer.text
    schema = live.home / "openapi.json"
    described = sessions["technologist"].get(f"{live.url}/api/schema", params={"format": "json"}, timeout=_PATIENCE)
    assert described.status_code == 200, described.text
    schema.write_bytes(described.content)
    known, report = live.home / "known.json", live.home / "report.json"
    known.write_text(json.dumps(_known(sessions, lasting, passing, seed)))
    config = live.home / "schemathesis.toml"
    config.write_text(_CONFIG)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={config}", "run", str(schema), f"--url={live.url}"),
        *(f"--checks={','.join(CHECKS)}", f"--seed={seed}", f"--max-time={seconds}", "--phases=coverage,fuzzing"),
        # One worker: with several, Python 3.11's parser fails now and then in Hypothesis.
        *("--continue-on-failure", f"--request-timeout={_PATIENCE}", "--generation-database=none", "--workers=1"),
        *("--suppress-health-check=all", "--warnings=off", "--no-color", "--report=json"),
        f"--report-json-path={report}",
    ]
    environment = {"SCHEMATHESIS_HOOKS": "tests.openapi.hooks", "LIGHTBOX_KNOWN": str(known), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        env=os.environ | environment,
        cwd=live.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as knocking:
        text = _told(knocking, seconds)
    if kept := os.environ.get("LIGHTBOX_FUZZ_REPORT"):
        shutil.copy(report, kept)
    found = json.loads(report.read_text()) if report.exists() else {}
    return Outcome(not found or bool(found["failures"] or found["errors"]), text, found)


def _told(knocking: subprocess.Popen[str], seconds: int) -> str:
    """What schemathesis says until it is done. It looks at its watch between two operations only: where one of them
    takes very long it is interrupted, and what it has found by then counts."""
    try:
        return knocking.communicate(timeout=seconds + _PATIENCE)[0]
    except subprocess.TimeoutExpired:
        knocking.send_signal(signal.SIGINT)
        return knocking.communicate(timeout=2 * _PATIENCE)[0]


def _known(sessions: Any, lasting: list[bytes], passing: list[bytes], seed: int) -> dict[str, Any]:
    metadata = [_metadata(data) for data in (passing[0], lasting[0], lasting[-1])]
    return {
        "seed": seed,
        "tokens": {role: session.headers["Authorization"].split()[1] for role, session in sessions.items()},
        "lasting": [_uids(data) for data in lasting],
        "perishable": [_uids(data) for data in passing],
        "objects": [data.hex() for data in [*lasting, *passing] if len(data) < 100_000],
        "bodies": {
            "application/dicom": [data.hex() for data in [*lasting, *passing] if len(data) < 100_000],
            "application/dicom+json": [text.hex() for text in metadata],
            "application/dicom+xml": [to_xml(text).hex() for text in metadata],
        },
    }


def _uids(data: bytes) -> list[str]:
    ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data), stop_before_pixels=True)
    return [str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)]


def _metadata(data: bytes) -> bytes:
    ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    return orjson.dumps(ds.to_json_dict())
