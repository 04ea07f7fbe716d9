"""Real PostgreSQL, Valkey and S3 for every test run, started once by the process that was called.

The workers of pytest-xdist inherit the environment; each takes a Valkey database, a bucket and a data folder of its
own, and pytest-django gives it a database of its own.
"""

from __future__ import annotations

import atexit
import math
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import django
import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from standalone.services.postgres import Postgres  # noqa: E402
from standalone.services.seaweedfs import SeaweedFS  # noqa: E402
from standalone.services.service import Service  # noqa: E402
from standalone.services.valkey import Valkey  # noqa: E402
from tests.faults import figures  # noqa: E402

# As fixtures for all tests.
pytest_plugins = ["tests.append_only"]

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
CHROMIUM = os.environ.get("PACS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SHARED = Path(os.environ.get("PACS_SHARED_DATA") or ROOT.parent / "shared/data")


class Services:
    """The services of one run in a folder of their own. `start()` brings them up, `close()` removes every trace."""

    def __init__(self) -> None:
        # Short, because a unix socket's path has at most 107 bytes; open to enter, because root hands PostgreSQL
        # over to `nobody`.
        self.home = Path(tempfile.mkdtemp(prefix="lbt-"))
        self.home.chmod(0o711)
        self.postgres = Postgres(self.home / "pg", self.home / "s", log=self.home / "pg.log", throw_away=True)
        self.valkey = Valkey(self.home / "valkey", self.home / "v.sock", log=self.home / "valkey.log", throw_away=True)
        self.s3 = SeaweedFS(self.home / "s3", log=self.home / "s3.log")
        self.started: list[Service] = []
        (self.home / "data").mkdir()

    def export(self) -> None:
        os.environ |= {
            "PACS_DATABASE_URL": self.postgres.url,
            "PACS_REDIS_URL": self.valkey.url,
            "PACS_DATA": str(self.home / "data"),
            "PACS_SECRET_KEY": secrets.token_urlsafe(50),
            # Machines that run tests have other things to do.
            "PACS_AT_REST__BUSY_PERCENT": "100",
        }

    def start(self) -> None:
        services: tuple[Service, ...] = (self.s3, self.postgres, self.valkey)
        for service in services:
            service.prepare()
            self.started.append(service)
            service.launch()
        for service in reversed(self.started):
            service.wait_ready()
        os.environ |= {
            "PACS_TEST_S3_ENDPOINT": self.s3.endpoint,
            "PACS_TEST_S3_ACCESS_KEY": self.s3.access_key,
            "PACS_TEST_S3_SECRET_KEY": self.s3.secret_key,
            "PACS_TEST_S3_REGION": self.s3.region,
        }

    def close(self) -> None:
        while self.started:
            self.started.pop().stop()
        shutil.rmtree(self.home, ignore_errors=True)


def _own_corner() -> None:
    """Keep the workers of one run apart."""
    number = int(WORKER.removeprefix("gw")) + 1
    data = Path(os.environ["PACS_DATA"]) / WORKER
    data.mkdir(exist_ok=True)
    os.environ |= {"PACS_REDIS_URL": f"{os.environ['PACS_REDIS_URL']}?db={number}", "PACS_DATA": str(data)}


# Settings read before the addresses below are set would point at the data of a real installation.
if settings.configured:
    raise pytest.UsageError(
        "DJANGO_SETTINGS_MODULE must not be set, in the environment or for pytest; conftest sets it."
    )

# The addresses are known before anything runs, so Django can be set up while conftest files are read and the services
# need to come up only for a run that gets as far as `pytest_configure`.
SERVICES = None if WORKER else Services()
if SERVICES is None:
    _own_corner()
else:
    SERVICES.export()
    atexit.register(SERVICES.close)
os.environ["DJANGO_SETTINGS_MODULE"] = "pacs_project.settings"
# Some tests make rows without objects: nobody shall ask the index whether the store of this run is new.
MARKER = Path(os.environ["PACS_DATA"]) / "store" / "lightbox-store"
MARKER.parent.mkdir(exist_ok=True)
MARKER.touch()

django.setup()


def pytest_addoption(parser: pytest.Parser) -> None:
    faults = parser.getgroup("faults")
    faults.addoption("--faults", action="store_true", help="the long form of the fault scripts in tests/faults")
    faults.addoption(
        "--figures", type=Path, metavar="FILE", help="add what the fault scripts measure to this JSON file"
    )


def pytest_configure(config: pytest.Config) -> None:
    asked_only = config.option.help or config.option.version or config.option.collectonly
    if SERVICES is None or asked_only:
        return
    for word in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(word, _end)
    SERVICES.start()


def _end(number: int, frame: FrameType | None) -> None:
    """`timeout` and a closed terminal end a run as Ctrl-C does: with everything removed."""
    pytest.exit(f"ended by {signal.Signals(number).name}", 128 + number)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    # A worker that inherits it would read the settings before `_own_corner`.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure() -> None:
    if SERVICES is not None:
        SERVICES.close()


# Here whole installations and browsers run beside other tests. A machine that stands still for seconds is no defect of
# the product, so these get a second try; that it was needed is told at the end.
SECOND_TRY = tuple(
    ROOT / "tests" / room for room in ("browser", "conformance", "deploy", "faults", "live", "standalone")
)
LONG_FORM_SECONDS = 3600


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_browser = pytest.mark.skip(reason="no Chromium on this machine (install it, or set PACS_CHROMIUM)")
    no_shared = pytest.mark.skip(reason="the shared DICOM files are not here (set PACS_SHARED_DATA)")
    for item in items:
        if ROOT / "tests/shared" in item.path.parents:
            item.add_marker(pytest.mark.shared)
        if config.getoption("--faults") and ROOT / "tests/faults" in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONG_FORM_SECONDS), append=False)  # and no second try
        elif item.get_closest_marker("browser") or any(room in item.path.parents for room in SECOND_TRY):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=5))
        if not CHROMIUM and item.get_closest_marker("browser"):
            item.add_marker(no_browser)
        if not SHARED.is_dir() and item.get_closest_marker("shared"):
            item.add_marker(no_shared)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was left out, so that a green run never says more than it tested; and what was measured."""
    left_out: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        left_out.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    if left_out:
        terminalreporter.section("left out")
        for reason, tests in left_out.items():
            terminalreporter.write_line(f"{len(tests)} left out: {reason}")
            for test in tests[:20]:
                terminalreporter.write_line(f"    {test}")
    if again := terminalreporter.stats.get("rerun", []):
        terminalreporter.section("second try")
        for report in again:
            terminalreporter.write_line(f"{report.nodeid}: {str(report.longrepr).strip().splitlines()[-1]}")
    if measured := figures.of_reports(terminalreporter.stats):
        figures.show(terminalreporter, measured)
        if file := config.getoption("--figures"):
            figures.write(file, measured)


@pytest.fixture(autouse=True)
def no_outage_is_left_to_tell() -> Iterator[None]:
    """A trail that one test broke is not spoken of in the events of the next one, nor do its frames count there."""
    yield
    from audit import frame_reads, outage

    outage.take()
    frame_reads.forget()


@pytest.fixture(scope="session")
def s3_settings() -> dict[str, str]:
    """The fields of `pacs_project.config.S3Config` for the real S3 server, with an existing bucket of this worker."""
    import boto3

    fields = {
        "endpoint_url": os.environ["PACS_TEST_S3_ENDPOINT"],
        "region": os.environ["PACS_TEST_S3_REGION"],
        "access_key_id": os.environ["PACS_TEST_S3_ACCESS_KEY"],
        "secret_access_key": os.environ["PACS_TEST_S3_SECRET_KEY"],
        "bucket": f"lightbox-{WORKER or 'main'}",
    }
    client = boto3.client(
        "s3",
        endpoint_url=fields["endpoint_url"],
        region_name=fields["region"],
        aws_access_key_id=fields["access_key_id"],
        aws_secret_access_key=fields["secret_access_key"],
    )
    client.create_bucket(Bucket=fields["bucket"])
    client.close()
    return fields


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared DICOM files; tests that ask for it carry the marker `shared`."""
    return SHARED


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser; tests that ask for it carry the marker `browser`."""
    assert CHROMIUM is not None
    return CHROMIUM


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty folder with a path short enough for unix sockets, which other accounts may enter."""
    folder = Path(tempfile.mkdtemp(prefix="lbs-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """That nothing is closed by a mark, and no mode read-only, is believed for the length of a test: asked once a
    second, it would make counts of queries depend on the clock. A test that marks something says so (``forget()``)."""
    from access import restrictions
    from custody.modes import read_only

    monkeypatch.setattr(restrictions, "BELIEVED_SECONDS", 3600.0)
    for kind in (restrictions.marks, restrictions.quarantine):
        monkeypatch.setattr(kind, "_believed", False)
        monkeypatch.setattr(kind, "_believed_until", math.inf)
    monkeypatch.setattr(read_only, "BELIEVED_SECONDS", 3600.0)
    monkeypatch.setattr(read_only._belief, "_period", None)
    monkeypatch.setattr(read_only._belief, "_until", math.inf)
