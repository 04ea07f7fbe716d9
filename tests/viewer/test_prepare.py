"""tools/viewer.py: pinned, trimmed, moved under /viewer/, silent towards other hosts, put in place whole."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from tools import viewer

KEPT = {
    "package/LICENSE": "MIT",
    "package/dist/index.html": '<script>window.PUBLIC_URL="/"</script><link rel="manifest" href="/manifest.json">'
    '<script rel="preload" src="/app-config.js"></script><script src="/init-service-worker.js"></script>'
    '<title>OHIF Viewer</title><script>window.PUBLIC_URL="/"</script><script defer src="/app.bundle.1.js"></script>'
    '<link href="/app.bundle.css"><link href="/assets/favicon.ico"><link href="/a.png"><link href="/b.png">',
    "package/dist/app.bundle.css": "@font-face{src:url(/a.woff2)}",
    "package/dist/app.bundle.1.js": "\n".join(edit.old for edit in viewer.EDITS if edit.suffix == ".js") * 8,
    "package/dist/assets/images/ct.png": "a picture",
}
LEFT_OUT = {
    "package/package.json": "{}",
    "package/dist/ort/ort.js": "inference",
    "package/dist/app.bundle.1.js.map": "{}",
    "package/dist/sw.js": "importScripts('https://elsewhere.example/')",
    "package/dist/app-config.js": "window.config = {}",
    "package/dist/customizations/a.jsonc": "{}",
    "package/dist/assets/apple-touch-icon.png": "an icon",
    "package/dist/../../escaped.js": "outside",
}


def pack(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package built like the real one, with its own SHA-512 pinned."""
    path = pack(tmp_path / "package.tgz", KEPT | LEFT_OUT)
    pin(monkeypatch, path)
    return path


def pin(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(viewer, "SHA512", base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode())


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_keeps_what_is_served_and_nothing_else(package: Path, tmp_path: Path) -> None:
    destination = tmp_path / "var/viewer"
    assert viewer.ensure(destination, package)
    kept = {name.removeprefix("package/").removeprefix("dist/") for name in KEPT}
    assert {name for name in names(destination) if not name.endswith(".gz")} == kept | {viewer.MANIFEST}
    assert not (tmp_path / "escaped.js").exists()
    assert sorted(path.name for path in destination.parent.iterdir()) == ["viewer"]


def test_second_time_there_is_nothing_to_do(package: Path, tmp_path: Path) -> None:
    destination = tmp_path / "viewer"
    assert viewer.ensure(destination, package)
    package.unlink()
    assert not viewer.ensure(destination, package)


def test_no_way_to_fetch_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(viewer, "ROOT", tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    assert viewer.main(["--destination", str(tmp_path / "viewer")]) == 1
    said = capsys.readouterr().err
    assert "could not be fetched" in said
    assert "--archive" in said
    assert not (tmp_path / "viewer").exists()


def test_refuses_another_package(tmp_path: Path) -> None:
    with pytest.raises(viewer.ViewerError, match="SHA-512 expected"):
        viewer.ensure(tmp_path / "viewer", pack(tmp_path / "other.tgz", KEPT))
    assert not (tmp_path / "viewer").exists()


def test_failure_leaves_the_former_viewer_as_it_was(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / "viewer"
    viewer.ensure(destination, package)
    before = {name: (destination / name).read_bytes() for name in names(destination)}
    monkeypatch.setattr(viewer, "RECIPE", "another")
    changed = pack(tmp_path / "changed.tgz", KEPT | {"package/dist/app.bundle.css": "@font-face{}"})
    pin(monkeypatch, changed)
    with pytest.raises(viewer.ViewerError, match=r"not built as expected: 'url\(/' missing in \*\.css"):
        viewer.ensure(destination, changed)
    assert {name: (destination / name).read_bytes() for name in names(destination)} == before


def test_another_recipe_replaces_the_whole_folder(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / "viewer"
    viewer.ensure(destination, package)
    (destination / "left-over.js").write_text("old")
    monkeypatch.setattr(viewer, "RECIPE", "another")
    assert viewer.ensure(destination, package)
    assert viewer.is_prepared(destination)
    assert not (destination / "left-over.js").exists()


def test_damaged_manifest_means_not_prepared(tmp_path: Path) -> None:
    (tmp_path / viewer.MANIFEST).write_text("{")
    assert not viewer.is_prepared(tmp_path)
    (tmp_path / viewer.MANIFEST).write_text("[]")
    assert not viewer.is_prepared(tmp_path)


def test_node_wheel_is_pinned_by_hash() -> None:
    lines = viewer.NODE_REQUIREMENTS.read_text().replace("\\\n", " ").splitlines()
    assert lines
    assert all(re.fullmatch(r"\S+==\S+ +(--hash=sha256:[0-9a-f]{64} *)+", line) for line in lines)


class TestRealViewer:
    """The pinned package itself."""

    def test_manifest_tells_the_truth(self, real_viewer: Path) -> None:
        manifest = json.loads((real_viewer / viewer.MANIFEST).read_bytes())
        assert set(manifest["files"]) == names(real_viewer) - {viewer.MANIFEST}
        index = (real_viewer / "index.html").read_bytes()
        inline = re.findall(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", index, re.DOTALL)
        assert len(inline) == 2
        assert len(manifest["codec_workers"]) == 3
        for script in inline:
            assert "sha256-" + base64.b64encode(hashlib.sha256(script).digest()).decode() in manifest["script_hashes"]

    def test_every_address_of_the_page_is_served(self, real_viewer: Path) -> None:
        index = (real_viewer / "index.html").read_text()
        addresses = re.findall(r'(?:href|src|content)="(/[^"]*)"', index)
        assert len(addresses) >= 6
        for address in addresses:
            if address != "/viewer/app-config.js":
                assert address.startswith(viewer.BUILD)
                assert (real_viewer / address.removeprefix(viewer.BUILD)).is_file()

    def test_styles_and_workers_look_under_the_build(self, real_viewer: Path) -> None:
        for path in real_viewer.glob("*.css"):
            for address in re.findall(r"url\((/[^)]*)\)", path.read_text()):
                assert (real_viewer / address.removeprefix(viewer.BUILD)).is_file()
        publics = {
            address
            for path in real_viewer.glob("*.js")
            for address in re.findall(r'__webpack_require__\.p = "([^"]*)"', path.read_text(errors="replace"))
        }
        assert publics == {viewer.BUILD}

    def test_compressed_forms_are_the_same_bytes(self, real_viewer: Path) -> None:
        packed = list(real_viewer.rglob("*.gz"))
        assert len(packed) > 50
        for path in packed:
            assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()

    def test_trimmed(self, real_viewer: Path) -> None:
        assert not [name for name in names(real_viewer) if viewer.DROPPED.match(name)]
        assert sum(path.stat().st_size for path in real_viewer.rglob("*")) < 80 << 20

    def test_no_code_names_an_outside_host(self, real_viewer: Path) -> None:
        """Addresses in quotes, outside comments, are XML vocabularies, links to click, messages, or bases to parse."""
        inert = {
            "www.w3.org", "www.mozilla.org", "www.opengis.net", "github.com", "ohif.org", "reactjs.org",
            "reactrouter.com", "ohif.invalid", "127.0.0.1", "localhost", "a", "x",
        }  # fmt: skip
        found: dict[str, str] = {}
        for path in [*real_viewer.rglob("*.js"), *real_viewer.rglob("*.html"), *real_viewer.rglob("*.css")]:
            for line in path.read_text(errors="replace").splitlines():
                if line.lstrip().startswith(("*", "//", "/*")):
                    continue
                for match in re.finditer(r"""["'`(](?:https?|wss?):\\?/\\?/([a-zA-Z0-9.-]+)""", line):
                    in_comment = len(line) < 1000 and re.search(r"//|/\*|\* ", line[: match.start()])
                    if match[1] not in inert and not in_comment:
                        found[match[1]] = f"{path.name}: {line.strip()[:120]}"
        assert not found
