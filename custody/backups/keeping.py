"""Which backups are kept: the newest of each day, week and month, so many of each; the others go.

The newest one stays in any case, and the newest that was verified. An object of the content area goes when no backup
that stays names it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from archive.object_store import ObjectStoreError
from custody.backups import contents, manifest
from custody.backups.errors import BackupError
from custody.backups.target import CONTENT, Target, part_key

_GIVEN_UP_AFTER_DAYS = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """How many days, weeks and months that have a backup keep their newest one."""

    daily: int
    weekly: int
    monthly: int


@dataclass(slots=True)
class Pruned:
    """What goes, or would go."""

    backups: list[str] = field(default_factory=list)
    objects: int = 0


def kept(names: Sequence[str], verified: set[str], rule: Rule) -> dict[str, list[str]]:
    """The names that stay, each with the reasons."""
    newest_first = sorted(names, reverse=True)
    found: dict[str, list[str]] = {}
    if newest_first:
        found.setdefault(newest_first[0], []).append("the newest")
    sound = next((name for name in newest_first if name in verified), None)
    if sound is not None:
        found.setdefault(sound, []).append("the newest that was verified")
    for count, span, word in (
        (rule.daily, "%Y-%m-%d", "day"),
        (rule.weekly, "%G-W%V", "week"),
        (rule.monthly, "%Y-%m", "month"),
    ):
        newest: dict[str, str] = {}
        for name in newest_first:
            newest.setdefault(f"{made_at(name):{span}}", name)
        for when, name in list(newest.items())[:count]:
            found.setdefault(name, []).append(f"{word} {when}")
    return found


def prune(target: Target, rule: Rule, *, dry_run: bool, now: datetime, tell: Callable[[str], None]) -> Pruned:
    """Remove what no reason keeps. Raises BackupError, also where one was made with another key: nothing goes then.

    The caller sees to it that no backup is being made into the target meanwhile.
    """
    names = target.names()
    staying = kept(names, target.verified(), rule)
    # Whoever can't read all of them can't know what they need.
    for name in names:
        manifest.read(target, name)
    pruned = Pruned([name for name in names if name not in staying])
    old = [name for name in target.unfinished() if (now - made_at(name)).days >= _GIVEN_UP_AFTER_DAYS]
    pruned.backups += old
    if not pruned.backups:
        return pruned
    going = [name for name in pruned.backups if "objects" in target.parts(name)]
    try:
        for key in _needless(target, [name for name in going if name not in old], list(staying)):
            pruned.objects += 1
            if not dry_run:
                target.store.delete(CONTENT + key)
        for name in [] if dry_run else pruned.backups:
            tell(f"removing {name}")
            target.remove(name)
    except ObjectStoreError as error:
        raise BackupError(f"{target.name} can't be cleared: {error}") from error
    return pruned


def made_at(name: str) -> datetime:
    """When a backup of this name was begun. Raises BackupError for a name of none."""
    try:
        return datetime.strptime(name.partition("-")[0], "%Y%m%dt%H%M%Sz").replace(tzinfo=UTC)
    except ValueError as error:
        raise BackupError(f"{name} is no name of a backup") from error


def _needless(target: Target, going: Sequence[str], staying: Sequence[str]) -> Iterator[str]:
    """Keys that only those name that go: all lists are sorted, so they are read side by side."""
    streams = [_marked(target, name, False) for name in going] + [_marked(target, name, True) for name in staying]
    last: str | None = None
    needed = False
    for key, stays in heapq.merge(*streams):
        if key != last:
            if last is not None and not needed:
                yield last
            last, needed = key, False
        needed |= stays
    if last is not None and not needed:
        yield last


def _marked(target: Target, name: str, stays: bool) -> Iterator[tuple[str, bool]]:
    for entry in contents.read(target, part_key(name, "objects")):
        yield entry.key, stays


def rule_of(config: Any) -> Rule:
    """That of `pacs_project.config.Config`."""
    backup = config.backup
    return Rule(backup.keep_daily, backup.keep_weekly, backup.keep_monthly)
