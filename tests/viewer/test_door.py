"""/viewer/: who may load it, what is served, under which headers."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpResponseBase
from django.test import Client
from pytest_django import Settings

from tests.viewer.miniature import BUILD, BUNDLE, INDEX, Miniature

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client: Client) -> Client:
    """A signed-in person's browser."""
    client.force_login(get_user_model().objects.create_user(username="reader"))
    return client


def body(response: HttpResponseBase) -> bytes:
    return response.getvalue()


def policy(response: HttpResponseBase) -> dict[str, list[str]]:
    directives = (part.split() for part in response.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in directives}


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("address", ["/viewer/", "/viewer/viewer?StudyInstanceUIDs=1.2", "/viewer/segmentation"])
def test_page_for_every_route(reader: Client, address: str) -> None:
    response = reader.get(address)
    assert response.status_code == 200
    assert body(response) == INDEX
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("address", ["/viewer/", "/viewer/viewer?StudyInstanceUIDs=1.2"])
def test_stranger_is_sent_to_sign_in(client: Client, address: str) -> None:
    response = client.get(address, headers={"Accept": "text/html"})
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/?next=%2Fviewer%2F")


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("address", ["app-config.js", f"build/{BUILD}/app.bundle.js", f"build/{BUILD}/decoder.wasm"])
def test_stranger_gets_no_file(client: Client, address: str) -> None:
    response = client.get(f"/viewer/{address}")
    assert response.status_code == 401
    assert BUNDLE[:10] not in body(response)


@pytest.mark.parametrize("address", ["", "app-config.js", f"build/{BUILD}/app.bundle.js", "nothing.js"])
def test_isolation_and_policy_on_every_answer(reader: Client, miniature: Miniature, address: str) -> None:
    response = reader.get(f"/viewer/{address}")
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    directives = policy(response)
    assert directives["default-src"] == ["'none'"]
    assert directives["base-uri"] == ["'none'"]
    for sources in directives.values():
        assert set(sources) <= {
            "'none'", "'self'", "'wasm-unsafe-eval'", "'unsafe-inline'", "blob:", "data:", f"'{miniature.script_hash}'",
        }  # fmt: skip
    assert "'unsafe-inline'" not in directives["script-src"]
    assert directives["connect-src"] == ["'self'", "blob:", "data:"]


def test_only_the_pages_own_inline_script_may_run(reader: Client, miniature: Miniature) -> None:
    assert f"'{miniature.script_hash}'" in policy(reader.get("/viewer/"))["script-src"]


@pytest.mark.usefixtures("miniature")
def test_only_codec_workers_may_evaluate_text(reader: Client) -> None:
    worker = policy(reader.get(f"/viewer/build/{BUILD}/codecs.worker.js"))
    assert worker["script-src"] == ["'self'", "'wasm-unsafe-eval'", "'unsafe-eval'"]
    for address in ("", "app-config.js", f"build/{BUILD}/app.bundle.js"):
        assert "'unsafe-eval'" not in policy(reader.get(f"/viewer/{address}"))["script-src"]


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("app.bundle.js", "text/javascript; charset=utf-8"),
        ("decoder.wasm", "application/wasm"),
        ("assets/favicon.ico", "image/x-icon"),
    ],
)
def test_files_may_be_kept_for_ever(reader: Client, name: str, media_type: str) -> None:
    response = reader.get(f"/viewer/build/{BUILD}/{name}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == media_type
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert body(response)


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize(
    ("accept", "compressed"),
    [("gzip, deflate, br", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
def test_compressed_form_for_who_takes_it(reader: Client, accept: str, compressed: bool) -> None:
    response = reader.get(f"/viewer/build/{BUILD}/app.bundle.js", headers={"Accept-Encoding": accept})
    assert response.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert "Accept-Encoding" in response.headers["Vary"]
    data = body(response)
    assert len(data) == int(response.headers["Content-Length"])
    assert (gzip.decompress(data) if compressed else data) == BUNDLE


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize(
    "address",
    [
        f"build/{BUILD}/../../secret.js",
        f"build/{BUILD}/..%2f..%2fsecret.js",
        f"build/{BUILD}/%2e%2e/secret.js",
        f"build/{BUILD}//etc/passwd",
        f"build/{BUILD}/.prepared.json",
        f"build/{BUILD}/no-such.js",
        "build/ba9876543210/app.bundle.js",
        "app.bundle.js",
        "sw.js",
        "../secret.js",
    ],
)
def test_nothing_but_the_prepared_files(reader: Client, address: str) -> None:
    response = reader.get(f"/viewer/{address}")
    assert response.status_code == 404
    assert b"secret" not in body(response)


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("address", ["", "app-config.js", f"build/{BUILD}/app.bundle.js"])
def test_reading_only(reader: Client, address: str) -> None:
    assert reader.post(f"/viewer/{address}").status_code == 405


def test_not_prepared_says_how(reader: Client, tmp_path: Path, settings: Settings) -> None:
    settings.PACS = settings.PACS.model_copy(update={"viewer_dir": tmp_path})
    response = reader.get("/viewer/")
    assert response.status_code == 503
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b"python -m tools.viewer --destination" in body(response)
    assert reader.get(f"/viewer/build/{BUILD}/app.bundle.js").status_code == 404


def test_viewer_prepared_while_serving_is_seen(reader: Client, miniature: Miniature) -> None:
    manifest = miniature.folder / ".prepared.json"
    assert reader.get("/viewer/").status_code == 200
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"build": "fedcba987654"}))
    assert reader.get("/viewer/build/fedcba987654/app.bundle.js").status_code == 200
    manifest.unlink()
    assert reader.get("/viewer/").status_code == 503


@pytest.mark.usefixtures("miniature")
def test_page_hands_out_the_csrf_token_that_stores_need(reader: Client, settings: Settings) -> None:
    response = reader.get("/viewer/")
    assert response.cookies[settings.CSRF_COOKIE_NAME].value
    assert not response.cookies[settings.CSRF_COOKIE_NAME]["httponly"]
    assert f"\"{settings.CSRF_COOKIE_NAME}\" + '='" in reader.get("/viewer/app-config.js").content.decode()


@pytest.mark.usefixtures("miniature")
def test_configuration_has_one_source_at_the_same_origin(reader: Client) -> None:
    response = reader.get("/viewer/app-config.js")
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    script = response.content.decode()
    assert not re.search(r"https?:|//\w", script)
    found = re.search(r"const config = (\{.*?\n\});\n", script, re.DOTALL)
    assert found
    config = json.loads(found[1])
    assert [source["namespace"] for source in config["dataSources"]] == [
        "@ohif/extension-default.dataSourcesModule.dicomweb"
    ]
    source = config["dataSources"][0]
    assert config["defaultDataSourceName"] == source["sourceName"]
    assert {source["configuration"][root] for root in ("qidoRoot", "wadoRoot", "wadoUriRoot")} == {"/dicom-web"}
    assert config["routerBasename"] == "/viewer"
    assert "dangerouslyUseDynamicConfig" not in config
    assert "customizationUrlPrefixes" not in config
