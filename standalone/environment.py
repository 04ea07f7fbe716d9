"""What the children are told: addresses of the services, the data folder, where clients reach us."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from standalone.layout import PROJECT, Layout

EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the loopback address each includes


def child_environment(layout: Layout, *, database_url: str, redis_url: str, public_root: str) -> dict[str, str]:
    """The environment of every process of the product. What the person set stays set."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    environment |= {
        "PACS_DATABASE_URL": database_url,
        "PACS_REDIS_URL": redis_url,
        "PACS_DATA": str(layout.data),
        "PACS_PUBLIC_ROOT": public_root,
        "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
    }
    # Threads that share two heaps instead of having one each hold far less memory that nobody uses.
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    environment.setdefault("PACS_VIEWER_DIR", str(layout.viewer))
    return environment


def shared_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that a command given later needs to work on the same installation: every one of the product's.

    Otherwise `./pacs import` from another shell would, for example, store into files beside a server that uses S3.
    """
    return {key: value for key, value in environment.items() if key.startswith("PACS_")}


def public_root(host: str, port: int) -> str:
    """PACS_PUBLIC_ROOT, else the address a browser would use."""
    named = os.environ.get("PACS_PUBLIC_ROOT")
    if named:
        return named.rstrip("/")
    name = socket.gethostname() if host in EVERY_INTERFACE else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"
