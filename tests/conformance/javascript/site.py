"""The JavaScript clients as a web site of another origin: installed from the lock file, bundled, served."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NPM = shutil.which("npm")
INSTALL_SECONDS = 240
BUILD_SECONDS = 60
# Left where their packages put them: codecs in WebAssembly, and the build that the viewer's makers publish.
COPIED = {
    "wasm": ("@cornerstonejs/codec-*/dist/*.wasm",),
    "dicom-microscopy-viewer": (
        "dicom-microscopy-viewer/dist/dynamic-import/*.js",
        "dicom-microscopy-viewer/dist/dynamic-import/*.wasm",
    ),
}


def installed(cache: Path) -> Path:
    """A folder below `cache` with the packages of the lock file, each checked against its hash by npm."""
    folder = cache / hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of one run share the folder
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix=".install-", dir=cache) as scratch:
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(HERE / name, scratch)
                _npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], Path(scratch), INSTALL_SECONDS)
                Path(scratch).rename(folder)
                Path(scratch).mkdir()
    return folder


def build(packages: Path, site: Path) -> None:
    """The pages with all they import, in `site`."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=packages.parent) as scratch:
        work = Path(scratch)
        (work / "node_modules").symlink_to(packages / "node_modules")
        shutil.copy(HERE / "package.json", work)
        shutil.copytree(HERE / "pages", work / "pages")
        _npm(["run", "build", "--", f"--outdir={site}"], work, BUILD_SECONDS)
    for page in (HERE / "pages").glob("*.html"):
        shutil.copy(page, site)
    for name, patterns in COPIED.items():
        (site / name).mkdir()
        for pattern in patterns:
            for path in (packages / "node_modules").glob(pattern):
                shutil.copy(path, site / name)


def _npm(words: Sequence[str], folder: Path, seconds: int) -> None:
    assert NPM is not None
    done = subprocess.run([NPM, *words], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"npm {words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm"}

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the browser's own complaints are what the tests read."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The origin at which `site` is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
