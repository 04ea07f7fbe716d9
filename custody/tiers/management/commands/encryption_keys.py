"""The key-encryption keys of sealed objects: list, add, rotate, destroy."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.holds import held_objects, held_studies
from archive.models import DeletedObject, Instance
from archive.object_store.errors import ObjectStoreError
from archive.object_store.keyring import (
    SealingKey,
    added,
    changing,
    destroyed,
    keyring_path,
    read_keyring,
    write_keyring,
)
from audit import kinds
from audit.record import AuditUnavailable, NewAccessEvent, record
from custody.tiers.holders import seals_in_use

# A process that has not yet looked at the keyring again may still write under the key of before.
_QUIET: Final = timedelta(minutes=10)


class Command(BaseCommand):
    """``manage.py encryption_keys``."""

    help = "Lists, makes, rotates and destroys the key-encryption keys of sealed objects."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do."""
        deeds = parser.add_subparsers(dest="deed", required=True)
        deeds.add_parser("list", help="the keys, and how much each of them seals")
        deeds.add_parser("add", help="the first key; makes the keyring")
        deeds.add_parser("rotate", help="a new active key for new objects; reseal writes the old ones anew")
        destroy = deeds.add_parser("destroy", help="forget an old key; refused while anything needs it")
        destroy.add_argument("key", metavar="KEY")
        destroy.add_argument("--crypto-erase", action="store_true", help="even if objects can never be read again")
        destroy.add_argument("--reason", default="", help="with --crypto-erase: why, for the trail")
        destroy.add_argument("--confirm", default="", metavar="KEY", help="the key once more, instead of typing it")

    def handle(self, *args: Any, **options: Any) -> None:
        """One deed."""
        self.path = keyring_path(settings.PACS)
        try:
            if options["deed"] == "list":
                self._list(read_keyring(self.path))
                return
            deed = {"add": self._add, "rotate": self._rotate, "destroy": self._destroy}[options["deed"]]
            with changing(self.path):
                deed(read_keyring(self.path), options)
        except (ObjectStoreError, AuditUnavailable) as error:
            raise CommandError(str(error)) from error

    def _list(self, keys: dict[str, SealingKey]) -> None:
        used = seals_in_use()
        for key in keys.values():
            self.stdout.write(f"{key.id}  {key.state:9} since {key.since}  {_counts(used.pop(key.id, {}))}")
        plain = used.pop("", {})
        if plain:
            self.stdout.write(f"in plaintext: {_counts(plain)}")
        for seal, counts in used.items():
            self.stdout.write(f"{seal}  NOT IN THE KEYRING: {_counts(counts)}")
        if not settings.PACS.encryption.at_rest:
            self.stdout.write("new objects are not sealed (PACS_ENCRYPTION__AT_REST)")

    def _add(self, keys: dict[str, SealingKey], options: dict[str, Any]) -> None:
        if any(key.state == "active" for key in keys.values()):
            raise CommandError("there is an active key; rotate makes a new one")
        self._write(added(keys), "made")

    def _rotate(self, keys: dict[str, SealingKey], options: dict[str, Any]) -> None:
        if not any(key.state == "active" for key in keys.values()):
            raise CommandError("there is no active key; add makes the first")
        self._write(added(keys), "rotated")

    def _write(self, keys: dict[str, SealingKey], word: str) -> None:
        # The trail first: what can't be written down is not done.
        active = next(key.id for key in keys.values() if key.state == "active")
        _record(f"key-encryption key {word}: {active}")
        write_keyring(self.path, keys)
        self.stdout.write(f"{active} is the active key. Without {self.path} no sealed object can be read: keep a copy.")

    def _destroy(self, keys: dict[str, SealingKey], options: dict[str, Any]) -> None:
        key = keys.get(options["key"])
        if key is None or key.state == "destroyed":
            raise CommandError("there is no such key")
        if key.state == "active":
            raise CommandError("the active key is not destroyed; rotate first")
        quiet_from = datetime.fromisoformat(key.since) + _QUIET
        if datetime.now(UTC) < quiet_from:
            raise CommandError(f"the key was active just now; come again at {quiet_from:%H:%M} UTC")
        used = seals_in_use().get(key.id, {})
        if used:
            self._may_erase(key.id, used, options)
        what = f"destroyed with all it seals ({_counts(used)})" if used else "destroyed; nothing was sealed by it"
        _record(f"key-encryption key {key.id} {what}", options["reason"])
        write_keyring(self.path, destroyed(keys, key.id))
        self.stdout.write(f"{key.id} is destroyed here. Copies of the keyring, in backups too, still have it.")

    def _may_erase(self, key: str, used: dict[str, int], options: dict[str, Any]) -> None:
        if not options["crypto_erase"]:
            raise CommandError(f"{_counts(used)} need this key; reseal first, or --crypto-erase to lose them")
        if not options["reason"].strip():
            raise CommandError("--crypto-erase needs a --reason")
        under = rf"\.{key}\.[^/]*$"
        instances = Instance.objects.filter(series__study__in=held_studies(), object_key__regex=under)
        if instances.exists() or DeletedObject.objects.filter(held_objects(), object_key__regex=under).exists():
            raise CommandError("something that this key seals is under a legal hold")
        self.stdout.write(f"For ever unreadable after this: {_counts(used)}.")
        typed = options["confirm"] or input(f"Type {key} to destroy it: ")
        if typed.strip() != key:
            raise CommandError("not confirmed; nothing was destroyed")


def _counts(used: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in used.items()) or "nothing"


def _record(text: str, reason: str = "") -> None:
    event = NewAccessEvent(
        kind=kinds.CONFIGURATION,
        principal_kind="system",
        principal_name="command line",
        auth_method="shell",
        outcome_description=text,
        purpose=reason,
    )
    record([event])
