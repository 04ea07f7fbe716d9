"""Counting: several processes, restarts, forks, a full disk; what it costs stands in docs/operations.md."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry import metrics, shared_values
from telemetry.exposition import counted, exposition
from telemetry.metrics import HTTP_REQUESTS, TASK_SECONDS
from telemetry.slots import NoSlot, Slot

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    before = shared_values.folder()
    shared_values.keep_in(tmp_path)
    yield tmp_path
    if before is not None:
        shared_values.keep_in(before)


def count_elsewhere(folder: Path, times: int = 1) -> None:
    """In a process of its own, which ends."""
    program = (
        "import sys; from pathlib import Path; from telemetry import shared_values;"
        "shared_values.keep_in(Path(sys.argv[1])); from telemetry.metrics import HTTP_REQUESTS;"
        "[HTTP_REQUESTS.labels('test', 'GET', '200').inc() for _ in range(int(sys.argv[2]))]"
    )
    command = [sys.executable, "-c", program, str(folder), str(times)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)


def value(name: str, **labels: str) -> float:
    found = [s.value for m in counted() for s in m.samples if s.name == name and labels.items() <= s.labels.items()]
    return sum(found)


def test_processes_add_up_and_leave_no_files_of_their_own(kept: Path) -> None:
    HTTP_REQUESTS.labels("test", "GET", "200").inc()
    for _ in range(4):
        count_elsewhere(kept, 5)
    assert value("pacs_http_requests_total", route="test") == 21
    # One number for us, one that the others used one after the other.
    assert sorted(path.name for path in kept.glob("*.lock")) == ["slot-000.lock", "slot-001.lock"]
    assert len(list(kept.glob("counter_*.db"))) == 2


def test_a_fork_counts_for_itself(kept: Path) -> None:
    counter = HTTP_REQUESTS.labels("test", "GET", "200")
    counter.inc()
    child = os.fork()
    if not child:
        counter.inc(10)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    counter.inc()
    assert value("pacs_http_requests_total", route="test") == 12


def test_a_number_is_free_when_its_process_has_gone(tmp_path: Path) -> None:
    first = Slot(tmp_path)
    second = Slot(tmp_path)
    assert (first.number, second.number) == (0, 1)
    first.forget()
    assert Slot(tmp_path).number == 0


def test_a_folder_that_cannot_be_used_costs_the_counts_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = shared_values.folder()
    shared_values.keep_in(tmp_path / "file" / "metrics")
    try:
        with pytest.raises(NoSlot):
            Slot(tmp_path / "file" / "metrics")
        counter = HTTP_REQUESTS.labels("test", "GET", "200")
        counter.inc()
        assert counter._value.get() == 1
        assert b"pacs_http_requests_total" in exposition({})
    finally:
        if before is not None:
            shared_values.keep_in(before)


def test_a_file_that_is_cut_off_costs_its_own_counts_only(kept: Path) -> None:
    count_elsewhere(kept, 3)
    whole = kept / "counter_0.db"
    (kept / "counter_7.db").write_bytes(whole.read_bytes()[:20])
    assert value("pacs_http_requests_total", route="test") == 3
    assert b'route="test"' in exposition({})


def test_a_file_that_is_full_counts_in_memory(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_values, "FILE_BYTES", 4096)
    for number in range(100):
        HTTP_REQUESTS.labels(f"route-{number}", "GET", "200").inc()
    assert (kept / "counter_0.db").stat().st_size == 4096
    assert 0 < value("pacs_http_requests_total") < 100


def test_what_was_never_counted_is_nought(kept: Path) -> None:
    """Else the first failure would be no rise."""
    text = exposition({}).decode()
    assert "pacs_audit_write_failures_total 0.0" in text
    assert "pacs_login_failures_total 0.0" in text


def test_histograms_of_processes_are_merged(kept: Path) -> None:
    TASK_SECONDS.labels("test").observe(0.2)
    TASK_SECONDS.labels("test").observe(400)
    assert value("pacs_celery_task_seconds_count", kind="test") == 2
    assert value("pacs_celery_task_seconds_bucket", kind="test", le="0.25") == 1
    assert value("pacs_celery_task_seconds_bucket", kind="test", le="+Inf") == 2


def test_labels_are_bounded_by_what_they_are() -> None:
    """No metric has a label that could be a patient, a UID or a person."""
    allowed = {"route", "method", "code", "kind", "result", "interface", "type", "ack", "dest", "outcome", "status"}
    allowed |= {"queue", "tier", "service", "state", "group", "certificate"}
    for metric in metrics.REGISTRY._collector_to_names:
        assert set(metric._labelnames) <= allowed  # type: ignore[attr-defined]
    for gauge in metrics.GAUGES.values():
        assert set(gauge.labels) <= allowed, gauge.name
