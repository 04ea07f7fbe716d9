"""The viewer's page, its files and its configuration.

No patient's data passes here. All of it needs a principal all the same, as everywhere (``access.middleware``).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from access.authentication import principal_of
from access.link_door import mounted_at, open_to_links
from access.links import PAGE
from access.policy import may_upload
from viewer.app_config import VIEWER_ROOT, app_config_script
from viewer.headers import CODEC, protect
from viewer.prepared import Prepared, prepared_viewer

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
PLAIN = "text/plain; charset=utf-8"
# The address of a file names its version and recipe; private, because it needs a session.
FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
NOT_PREPARED = """\
The viewer is not prepared on this server.

`./pacs up` prepares it. By hand: python -m tools.viewer --destination FOLDER
where FOLDER is the setting PACS_VIEWER_DIR (by default the folder viewer in PACS_DATA).
"""


@open_to_links
@require_safe
@ensure_csrf_cookie
def page(request: HttpRequest, route: str = "") -> HttpResponseBase:
    """The viewer's page, for every address that its own router knows; what looks like a file is not there."""
    prepared = _prepared()
    if prepared is None:
        return _plain(NOT_PREPARED, 503)
    if PurePosixPath(route).suffix:
        return _plain("Not found.\n", 404)
    inline = [f"'{digest}'" for digest in prepared.script_hashes]
    mount = mounted_at(request)
    response = _mounted(prepared, mount) if mount else _send(request, prepared, "index.html", ASK_AGAIN)
    return protect(response, inline)


@open_to_links
@require_safe
def build_file(request: HttpRequest, build: str, name: str) -> HttpResponseBase:
    """One file of the prepared viewer."""
    prepared = _prepared()
    if prepared is None or build != prepared.build or name not in prepared.files:
        return _plain("Not found.\n", 404)
    return protect(_send(request, prepared, name, FOR_EVER), CODEC if name in prepared.codec_workers else ())


@open_to_links
@require_safe
def app_config(request: HttpRequest) -> HttpResponseBase:
    """``window.config`` of the viewer; below a share link's addresses it knows these alone."""
    mount = mounted_at(request)
    way_in = PAGE if mount else resolve_url(settings.LOGIN_URL)
    upload = may_upload(principal_of(request))
    script = app_config_script(way_in, settings.CSRF_COOKIE_NAME, mount, upload=upload)
    response = HttpResponse(script, content_type=MEDIA_TYPES[".js"])
    response.headers["Cache-Control"] = ASK_AGAIN
    return protect(response)


def _prepared() -> Prepared | None:
    folder = settings.PACS.viewer_dir
    return prepared_viewer(folder) if folder else None


def _mounted(prepared: Prepared, mount: str) -> HttpResponse:
    """The page of a share link: the same, but with the configuration below the link's addresses."""
    html = (prepared.folder / "index.html").read_text()
    html = html.replace(f'src="{VIEWER_ROOT}/app-config.js"', f'src="{mount}{VIEWER_ROOT}/app-config.js"')
    return HttpResponse(html, content_type=MEDIA_TYPES[".html"], headers={"Cache-Control": "private, no-store"})


def _send(request: HttpRequest, prepared: Prepared, name: str, caching: str) -> FileResponse:
    """File `name`, in its compressed form where there is one and the client takes it."""
    packed = f"{name}.gz" in prepared.files
    compressed = packed and _accepts_gzip(request)
    stream = (prepared.folder / (f"{name}.gz" if compressed else name)).open("rb")
    media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
    response = FileResponse(stream, filename=PurePosixPath(name).name, content_type=media_type)
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    if packed:
        patch_vary_headers(response, ["Accept-Encoding"])
    response.headers["Cache-Control"] = caching
    return response


def _accepts_gzip(request: HttpRequest) -> bool:
    """RFC 9110 12.5.3: gzip is named, and not with weight zero."""
    for offer in request.headers.get("Accept-Encoding", "").split(","):
        coding, _, parameters = offer.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            weight = parameters.strip().removeprefix("q=") or "1"
            return weight.strip("0.") != ""
    return False


def _plain(text: str, status: int) -> HttpResponse:
    response = HttpResponse(text, content_type=PLAIN, status=status)
    response.headers["Cache-Control"] = "no-store"
    return protect(response)
