"""Under which identity a child runs: PostgreSQL refuses root, everything else runs as we do."""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["self", "nobody", "namespace"]

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
# Loaded before any fork: the child between fork and exec must not take the loader's lock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Identity:
    """`self`: as we are. `nobody`: root drops to that account. `namespace`: root is shown to the child as `nobody`
    inside a user namespace of its own, without any capability; files stay root's, so folders closed to others work."""

    kind: Kind
    uid: int
    gid: int

    def popen_options(self, death_signal: int | None = None) -> dict[str, Any]:
        """Options for `subprocess`; `death_signal` is sent to the child when the thread that started it dies."""
        options: dict[str, Any] = {}
        if self.kind == "nobody":
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        before_exec = _before_exec(self, death_signal)
        if before_exec is not None:
            options["preexec_fn"] = before_exec
        return options

    def can(self, flag: Literal["-x", "-r", "-w"], path: Path) -> bool:
        """Whether a process of this identity may execute, read or write `path`; asked of the kernel, not computed."""
        try:
            answer = subprocess.run(
                ["/bin/sh", "-c", 'test "$1" "$2"', "sh", flag, str(path)],
                cwd="/",
                timeout=10,
                check=False,
                **self.popen_options(),
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return answer.returncode == 0

    def give(self, path: Path) -> None:
        """Make `path` (not what is below it) belong to this identity."""
        if self.kind == "nobody":
            os.chown(path, self.uid, self.gid)


def own() -> Identity:
    return Identity("self", os.geteuid(), os.getegid())


def nobody() -> Identity:
    account = pwd.getpwnam("nobody")
    return Identity("nobody", account.pw_uid, account.pw_gid)


def namespace() -> Identity:
    account = pwd.getpwnam("nobody")
    return Identity("namespace", account.pw_uid, account.pw_gid)


def _before_exec(identity: Identity, death_signal: int | None) -> Callable[[], None] | None:
    libc = _LIBC
    if libc is None or (death_signal is None and identity.kind != "namespace"):
        return None
    # Read before: inside the new namespace, until the maps are written, every id is the overflow id.
    inside = f"{identity.uid} {os.geteuid()} 1", f"{identity.gid} {os.getegid()} 1"

    def prepare() -> None:
        if identity.kind == "namespace":
            if libc.unshare(_CLONE_NEWUSER) != 0:
                raise OSError(ctypes.get_errno(), "no user namespace")
            # gid_map may only be written once setgroups is off (user_namespaces(7)).
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", inside[0]),
                ("gid_map", inside[1]),
            ):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        if death_signal is not None:
            libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)

    return prepare
