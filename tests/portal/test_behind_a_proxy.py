"""TLS that ends at a proxy: believed only from a proxy that the settings name."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser


@pytest.mark.django_db
@pytest.mark.parametrize(("trusted", "expected"), [(["127.0.0.1"], "https"), (["10.0.0.0/8"], "http"), ([], "http")])
def test_scheme(settings: Any, trusted: list[str], expected: str) -> None:
    settings.PACS = settings.PACS.model_copy(update={"trusted_proxies": trusted})
    response = Browser().get("/livez", headers={"X-Forwarded-Proto": "https"})
    assert response.wsgi_request.scheme == expected
