"""`./pacs status`: what runs, where, and how much is in the archive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from standalone.layout import PROJECT, Layout
from standalone.programs import HL7_PORT, Hl7
from standalone.running import Lock, Running, read_note, started_at

INSPECTION_LIMIT = 60.0


def status(layout: Layout) -> int:
    """Exit code 0 if everything that should run does, 1 if something is down, 3 if nothing runs."""
    note = running(layout)
    if note is None:
        print(f"Lightbox is not running. Its data folder is {layout.data}. `./pacs up` starts it.")
        return 3
    whole = True
    where = f"{note.address}/" if note.address else f"`./pacs {note.command}` is at work"
    print(f"Lightbox runs: {where}")
    print(f"  {'launcher':<12}running   process {note.pid}")
    for child in note.children:
        alive = started_at(child.pid) == child.started
        whole &= alive
        print(f"  {child.name:<12}{'running' if alive else 'DOWN':<10}process {child.pid}")
    if any(child.name == Hl7.name for child in note.children):
        print(f"  {'HL7':<12}MLLP on {', '.join(hl7_addresses(note.environment))}")
    found = inspect(note.environment, "studies", "backups", "rebuild")
    answer = found["studies"]
    print(f"  {'studies':<12}{answer.get('studies', 'unknown (' + str(answer.get('error')) + ')')}")
    print(f"  {'backup':<12}{backup_line(found['backups'])}")
    for line in rebuild_lines(found["rebuild"]):
        print(f"  {line}")
    print(f"  {'data':<12}{layout.data}")
    return 0 if whole and "error" not in answer else 1


def backup_line(found: Mapping[str, Any]) -> str:
    """How the backups stand, in a few words."""
    if "error" in found:
        return f"unknown ({found['error']})"
    if not found["last_good"]:
        return "none yet" if found["target"] else "none; PACS_BACKUP__TARGET makes one each day"
    late = ", TOO OLD" if found["late"] else ""
    return f"complete until {found['last_good']} ({found['hours']} h ago{late})"


def rebuild_lines(found: Mapping[str, Any]) -> list[str]:
    """That a rebuild is due, and what to type; nothing where the index is as it should be."""
    if "error" in found:
        return [f"{'index':<12}unknown ({found['error']})"]
    return [f"{'index':<12}REBUILD DUE: {found['why']}", f"{'':<12}{found['command']}"] if found["why"] else []


def hl7_addresses(environment: Mapping[str, str]) -> list[str]:
    """Where the HL7 listener takes messages, by the settings that it was started with."""
    host = environment.get("PACS_HL7__HOST", "127.0.0.1")
    ports = {"": environment.get("PACS_HL7__PORT", HL7_PORT), " (TLS)": environment.get("PACS_HL7__TLS_PORT", "0")}
    return [f"{host}:{port}{how}" for how, port in ports.items() if port != "0"]


def running(layout: Layout) -> Running | None:
    """The note of what holds the lock; None if nothing does."""
    return read_note(layout) if layout.run.exists() and Lock(layout).held else None


def inspect(environment: dict[str, str], *checks: str) -> dict[str, dict[str, Any]]:
    """Ask the product itself, in a process of its own; every failure is an answer with `error`."""
    command = [sys.executable, "-P", "-m", "standalone.inspection", *checks]
    settings = {
        **os.environ,
        **environment,
        "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
        "PYTHONPATH": str(PROJECT),
    }
    try:
        done = subprocess.run(
            command, cwd=PROJECT, env=settings, capture_output=True, text=True, timeout=INSPECTION_LIMIT, check=True
        )
        found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        return {name: {"error": f"{type(error).__name__}"} for name in checks}
    return found
