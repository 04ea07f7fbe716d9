"""What the children are told: addresses of the services, the data folder, where clients reach us."""

from __future__ import annotations

import os
import socket

from standalone.layout import PROJECT, Layout

# What a command given later has to know of the installation that runs; everything else comes from its own shell.
SHARED = ("PACS_DATABASE_URL", "PACS_REDIS_URL", "PACS_DATA", "PACS_PUBLIC_ROOT", "PACS_VIEWER_DIR")

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
    environment.setdefault("PACS_VIEWER_DIR", str(layout.viewer))
    return environment


def public_root(host: str, port: int) -> str:
    """PACS_PUBLIC_ROOT, else the address a browser would use."""
    named = os.environ.get("PACS_PUBLIC_ROOT")
    if named:
        return named.rstrip("/")
    name = socket.gethostname() if host in EVERY_INTERFACE else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"
