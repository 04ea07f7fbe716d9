"""Debian's Orthanc with its DICOMweb plugin, tuned, for comparison."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.bench.targets import Target, free_port
from standalone.errors import StandaloneError
from standalone.services.service import Service

HOST: Final = "127.0.0.1"
PLUGINS: Final = Path("/usr/share/orthanc/plugins")
_PLACES: Final = "/usr/local/sbin:/usr/sbin:/usr/bin"
_MISSING: Final = """\
Orthanc and its DICOMweb plugin are not installed. On Debian and Ubuntu:

  apt-get install orthanc orthanc-dicomweb orthanc-gdcm

and stop the service that this starts (systemctl disable --now orthanc)."""


def configuration(folder: Path, port: int) -> dict[str, Any]:
    """Everything that makes it quicker, and each DICOM file flushed to the disk before it is acknowledged."""
    return {
        "Name": "bench",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so"), str(PLUGINS / "libOrthancGdcm.so")],
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "MetricsEnabled": False,
        "StorageCompression": False,
        "HttpCompressionEnabled": False,
        "HttpThreadsCount": 16,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "StorageAccessOnFind": "Never",
        "SaveJobs": False,
        "ConcurrentJobs": 2,
        "MaximumStorageCacheSize": 512,
        "StableAge": 10,
        "SyncStorageArea": True,
        "QidoCaseSensitive": False,
        "LimitFindResults": 0,
        "LimitFindInstances": 0,
        "DicomWeb": {
            "Enable": True,
            "Root": "/dicom-web/",
            "EnableWado": False,
            "Ssl": False,
            "StudiesMetadata": "Full",
            "SeriesMetadata": "Full",
            "QidoCaseSensitive": False,
        },
    }


class Orthanc(Service):
    """Ready when it tells its version."""

    name = "orthanc"

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder / "orthanc.log", folder)
        self._port = port

    def command(self) -> list[str]:
        found = shutil.which("Orthanc", path=_PLACES)
        if found is None or not (PLUGINS / "libOrthancDicomWeb.so").exists():
            raise StandaloneError(_MISSING)
        return [found, str(self.cwd / "orthanc.json")]

    def prepare(self) -> None:
        self.cwd.mkdir(parents=True, exist_ok=True)
        (self.cwd / "orthanc.json").write_text(json.dumps(configuration(self.cwd, self._port), indent=1))

    def ready(self) -> bool:
        return bool(self._system())

    def version(self) -> str:
        """Its own number."""
        return str(self._system().get("Version", "unknown"))

    def _system(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=5)
        try:
            connection.request("GET", "/system")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return found


@contextmanager
def orthanc(folder: Path) -> Iterator[Target]:
    """Started in ``folder``, stopped at the end. Raises StandaloneError where it is not installed."""
    port = free_port(HOST)
    service = Orthanc(folder, port)
    service.start()
    try:
        yield Target(f"orthanc-{service.version()}", f"http://{HOST}:{port}/dicom-web", processes=[service.pid or 0])
    finally:
        service.stop()
