"""The settings in force, each with its meaning and where it comes from. Secrets are told as set or not set."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from pydantic import BaseModel, SecretStr

from administration.door import looking, show
from administration.setting_words import WORDS

PREFIX: Final = "PACS_"
GROUPS: Final = (
    ("PACS_LIMITS__", "Limits"),
    ("PACS_S3__", "Object store"),
    ("PACS_OBJECT_STORE", "Object store"),
    ("PACS_AUDIT__", "Trail"),
)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as the page shows it: the variable that sets it, the value in words, its meaning and its source."""

    variable: str
    value: str
    meaning: str
    source: str


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The settings by group, as this process read them when it started."""
    looking(request)
    return show(request, "settings.html", "settings", {"groups": groups()})


def groups() -> list[tuple[str, list[SettingRow]]]:
    """The rows in groups with a title, in the order of the configuration."""
    found: dict[str, list[SettingRow]] = {}
    for row in rows(settings.PACS, PREFIX):
        found.setdefault(_group(row.variable), []).append(row)
    return list(found.items())


def rows(config: BaseModel, prefix: str) -> Iterator[SettingRow]:
    """Every setting of ``config``, nested ones included."""
    for name, field in type(config).model_fields.items():
        value, variable = getattr(config, name), f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from rows(value, f"{variable}__")
        else:
            meaning = WORDS.get(variable) or sentence_of(field.description or "")
            default = field.get_default(call_default_factory=True)
            yield SettingRow(variable, shown(value), meaning, source(variable, value, default))


def shown(value: Any) -> str:
    """The value for people; of secrets only whether there is one, of addresses no user and no password."""
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(shown(each) for each in value) or "none"
    if value in (None, ""):
        return "not set"
    return _without_credentials(value) if isinstance(value, str) and "://" in value else str(value)


def source(variable: str, value: Any, default: Any) -> str:
    """Where the value comes from."""
    if variable in os.environ:
        return "environment"
    folder = os.environ.get("PACS_SECRETS_DIR")
    if folder and any((Path(folder) / name).is_file() for name in (variable, variable.lower())):
        return "secrets file"
    return "default" if value == default else "made at the start"


def sentence_of(text: str) -> str:
    """A short description as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _without_credentials(address: str) -> str:
    """An address without user, password and query, in which libpq and others take passwords as well."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _group(variable: str) -> str:
    return next((title for beginning, title in GROUPS if variable.startswith(beginning)), "General")
