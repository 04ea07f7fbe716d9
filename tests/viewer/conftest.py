"""A prepared viewer in miniature for the door, and the real one for the recipe."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.viewer.miniature import BUILD, BUNDLE, INDEX, SCRIPT, Miniature
from tools import viewer


@pytest.fixture
def miniature(tmp_path: Path, settings: Settings) -> Miniature:
    """Settings point at a small prepared viewer."""
    folder = tmp_path / "viewer"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(INDEX)
    (folder / "app.bundle.js").write_bytes(BUNDLE)
    (folder / "app.bundle.js.gz").write_bytes(gzip.compress(BUNDLE))
    (folder / "decoder.wasm").write_bytes(b"\0asm")
    (folder / "codecs.worker.js").write_bytes(b"decode()")
    (folder / "assets/favicon.ico").write_bytes(b"\0\0\1\0")
    outside = tmp_path / "secret.js"
    outside.write_bytes(b"secret")
    digest = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT).digest()).decode()
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    manifest: dict[str, object] = {"version": "1", "recipe": "r", "build": BUILD, "script_hashes": [digest]}
    manifest |= {"codec_workers": ["codecs.worker.js"], "files": files}
    (folder / viewer.MANIFEST).write_text(json.dumps(manifest))
    settings.PACS = settings.PACS.model_copy(update={"viewer_dir": folder})
    return Miniature(folder, digest, outside)


@pytest.fixture(scope="session")
def real_viewer(request: pytest.FixtureRequest) -> Path:
    """The pinned viewer, prepared once and kept in pytest's cache; the first time needs npm's or PyPI's registry."""
    folder = Path(request.config.cache.mkdir("viewer")) / "prepared"
    viewer.ensure(folder)
    return folder
