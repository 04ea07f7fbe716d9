"""Technologists at their pages, and an empty object store for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from access.models import User
from tests.access.conftest import make_client, make_person, make_token

__all__ = ["make_client", "make_person", "make_token"]


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


@pytest.fixture
def as_role(make_person: Callable[..., User]) -> Callable[..., Browser]:
    """``as_role("technologist")``: the browser of somebody new who signed in."""

    def signed_in(*roles: str, username: str = "") -> Browser:
        window = Browser(HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1")
        window.force_login(make_person(*roles, username=username or f"{roles[0]}-{User.objects.count()}"))
        return window

    return signed_in


@pytest.fixture
def tina(as_role: Callable[..., Browser]) -> Browser:
    """A technologist."""
    return as_role("technologist", username="tina")
