"""F11: the database is lost; the index is made anew from the object store alone.

Procedure: studies of several modalities are stored, some of them multi-frame; an instance and a study are deleted, a
study is marked VIP, instances may get representations. What QIDO-RS says at each level, the metadata of every study
and a sample of objects are kept. The processes end, the database is dropped. ``rebuild`` is killed (SIGKILL) in the
middle and taken up with ``--resume``. It passes when every answer is what it was, nothing that was deleted came back,
and the marked study is closed to whom it was closed. Corrections, merges, representations, backups of before and S3
are those of ``tests/custody/test_rebuild.py``.

Short form: some 200 instances. Long form: 100,000 (PACS_F11_INSTANCES says how many), rate of 200 instances a second.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from pydicom.uid import generate_uid

from tests.custody.archive_state import differing
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.faults.conftest import Figure
from tests.live.marker import PATIENT
from tests.live.senders import AS_STORED
from tests.live.server import ROOT, USER, LivePacs, _field

SAMPLE = 40
_MODALITIES = (("CT", 20), ("MR", 12), ("CR", 1), ("US", 3))


@pytest.fixture
def pacs() -> Iterator[LivePacs]:
    live = LivePacs()
    live.environment["PACS_AT_REST__DELAY_SECONDS"] = "1"
    live.environment["PACS_AT_REST__BUSY_PERCENT"] = "100"
    try:
        yield live.start()
    finally:
        live.stop()


def test_everything_comes_back_from_the_bucket(pacs: LivePacs, figure: Figure, long_form: bool) -> None:
    wanted = int(os.environ.get("PACS_F11_INSTANCES", "100000")) if long_form else 200
    files = pacs.home / "incoming"
    studies = _write(files, wanted)
    pacs.manage("import_dicom", str(files))
    session = _signed_in(pacs)
    _change(pacs, session, studies)
    _wait_for_facts(pacs)
    before = _seen(pacs, session, studies)
    [(total,)] = pacs.query("SELECT count(*) FROM archive_instance")
    _lose_the_database(pacs)
    killed = _killed_in_the_middle(pacs)
    summary = _rebuild(pacs, "--resume" if killed else "")
    pacs.password = _field(
        pacs.manage("create_user", USER, "--role", "technologist", "--role", "radiologist"), "password"
    )
    pacs.serve()
    differences = differing(before, _seen(pacs, _signed_in(pacs), studies))
    [(again,)] = pacs.query("SELECT count(*) FROM archive_instance")
    figure("F11", "instances before and after", f"{total} and {again}", "equal")
    figure("F11", "answers that differ", len(differences), "0")
    figure("F11", "instances a second", summary["instances_per_second"], "200 or more in the long form")
    figure("F11", "killed in the middle and resumed", "yes" if killed else "too fast", "yes")
    assert differences == []
    assert again == total
    assert summary["problems"] == {}
    assert not long_form or summary["instances_per_second"] >= 200


def _write(folder: Path, wanted: int) -> list[tuple[str, list[str]]]:
    """Files of about ``wanted`` instances; the study and instance UIDs of each study."""
    folder.mkdir()
    studies: list[tuple[str, list[str]]] = []
    made = 0
    while made < wanted:
        modality, count = _MODALITIES[len(studies) % len(_MODALITIES)]
        count = count if wanted < 5000 else count * 20
        study, series, uids = str(generate_uid()), str(generate_uid()), []
        for number in range(1, count + 1):
            frames = 4 if modality == "US" else 1
            ds = make_data_set(
                **PATIENT | {"PatientID": f"{PATIENT['PatientID']}{len(studies) % 9}"},
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                InstanceNumber=number,
                Modality=modality,
                StudyDate=f"202401{len(studies) % 28 + 1:02}",
                SeriesDescription=f"Series {len(studies)}",
            )
            if frames > 1:
                ds.NumberOfFrames, ds.PixelData = frames, ds.PixelData * frames
            uids.append(str(ds.SOPInstanceUID))
            (folder / f"{made:07}.dcm").write_bytes(to_bytes(ds))
            made += 1
        studies.append((study, uids))
    return studies


def _change(pacs: LivePacs, session: requests.Session, studies: list[tuple[str, list[str]]]) -> None:
    """What the objects themselves do not say."""
    root = f"{pacs.url}/dicom-web"
    manager = pacs.machine("administrator")
    series = session.get(f"{root}/studies/{studies[0][0]}/series", timeout=60).json()[0]["0020000E"]["Value"][0]
    one = f"{root}/studies/{studies[0][0]}/series/{series}/instances/{studies[0][1][0]}"
    for address in (one, f"{root}/studies/{studies[3][0]}"):
        answer = manager.delete(address, timeout=60)
        assert answer.status_code in (200, 204), answer.text
    pacs.manage("restrict", studies[4][0], "--mark", "vip", "--reason", "known to all")


def _wait_for_facts(pacs: LivePacs) -> None:
    """Until the workers have nothing to do: every change is in the store, representations are made."""
    for _ in range(600):
        if pacs.query("SELECT count(*) FROM archive_outboxentry WHERE kind <> 'at_rest' AND NOT dead") == [(0,)]:
            return
        time.sleep(1)
    raise AssertionError(pacs.query("SELECT kind, subject, attempts, last_error FROM archive_outboxentry LIMIT 9"))


def _signed_in(pacs: LivePacs) -> requests.Session:
    return pacs.machine("technologist")


def _seen(pacs: LivePacs, session: requests.Session, studies: list[tuple[str, list[str]]]) -> dict[str, Any]:
    root = f"{pacs.url}/dicom-web"
    told: dict[str, Any] = {}
    for level in ("studies", "series", "instances"):
        told[level] = _paged(session, f"{root}/{level}")
    for study, _ in studies:
        told[f"metadata {study}"] = _json(session, f"{root}/studies/{study}/metadata")
    for study, uids in studies[:: max(1, len(studies) // SAMPLE)]:
        address = f"{root}/studies/{study}/series/{_series(told, study)}/instances/{uids[-1]}"
        answer = session.get(address, headers=AS_STORED, timeout=60)
        told[f"object {uids[-1]}"] = (answer.status_code, answer.content.partition(b"DICM")[2][:-80])
    return told


def _series(told: dict[str, Any], study: str) -> str:
    found = [each for each in told["series"] if each["0020000D"]["Value"] == [study]]
    return str(found[0]["0020000E"]["Value"][0]) if found else "1.2.3"


def _paged(session: requests.Session, address: str) -> list[Any]:
    found: list[Any] = []
    while page := _json(session, f"{address}?includefield=all&limit=1000&offset={len(found)}"):
        found += page
    return found


def _json(session: requests.Session, address: str) -> Any:
    answer = session.get(address, headers={"Accept": "application/dicom+json"}, timeout=120)
    if answer.status_code in (403, 404):  # closed, or gone: that has to stay so
        return answer.status_code
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.status_code == 200 and answer.content else []


def _lose_the_database(pacs: LivePacs) -> None:
    for service in pacs.services:
        service.stop()
    pacs.services = []
    with psycopg.connect(pacs.server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {pacs.database} WITH (FORCE)")
    pacs.install()


def _killed_in_the_middle(pacs: LivePacs) -> bool:
    """Whether SIGKILL met a rebuild that was at work."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "rebuild", "--processes", "2"],
        env=pacs.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None:
        if pacs.query("SELECT count(*) FROM archive_instance")[0][0] > 0:
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.02)
    process.wait()
    return bool(pacs.query("SELECT count(*) FROM custody_facts_rebuild WHERE finished_at IS NULL")[0][0])


def _rebuild(pacs: LivePacs, *words: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "manage.py"), "rebuild", *(word for word in words if word)]
    done = subprocess.run(command, env=pacs.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary
