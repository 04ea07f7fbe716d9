"""``restore``: a backup into an empty installation."""

import os
import time
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from rich.console import Console
from rich.filesize import decimal

from archive.object_store import ObjectStore, build
from audit.checkpoints import BadCheckpoint, parse
from audit.record import AuditUnavailable
from audit.sealer import folder
from custody.backups import manifest
from custody.backups.errors import BackupError, Unknown
from custody.backups.files import key_file
from custody.backups.keys import read
from custody.backups.making import secret_key_id
from custody.backups.manifest import Manifest
from custody.backups.programs import address
from custody.backups.restoring import Restored, Wanted, check_room, restore
from custody.backups.running import person
from custody.backups.target import open_target


class Command(BaseCommand):
    """``manage.py restore FROM``: all of it or nothing; exit code 1 if it is nothing."""

    help = "Restores a backup into an empty installation."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """What, and from where."""
        parser.add_argument("source", metavar="FROM", help="a folder or s3://bucket/prefix")
        parser.add_argument("--backup", metavar="NAME", help="this one (the newest)")
        parser.add_argument("--database-only", action="store_true", help="leave object store and secrets as they are")
        parser.add_argument("--skip-damaged", action="store_true", help="go on without objects damaged in the backup")
        parser.add_argument("--key", type=Path, help="file of the key (PACS_BACKUP__KEY)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, restore, bring the tables up to date, end all sessions, say what comes next."""
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        config, began = settings.PACS, time.monotonic()
        wanted = Wanted(objects=not options["database_only"], skip_damaged=options["skip_damaged"], person=person())
        try:
            target = open_target(options["source"], read(options["key"] or key_file(config)), config)
            found = manifest.newest(target, options["backup"])
            where = address(connection.settings_dict)
            with console.status("reading the backup") as status:
                check_room(target, found, config, wanted)
                done = restore(target, found, where, config, _stores(config), wanted, status.update)
        except Unknown as error:
            raise CommandError(str(error)) from error
        except BackupError as error:
            raise CommandError(f"{error}\nNothing was restored.") from error
        said = StringIO()
        try:
            # Which ends all sessions and tokens as well.
            call_command("migrate", verbosity=0, interactive=False, stdout=said)
        except (AuditUnavailable, DatabaseError, CommandError) as error:
            raise CommandError(
                "The database was restored, but can't be brought up to date, and nobody can use it until it is: mend "
                f"what is wrong ({type(error).__name__}); ./pacs up, or ./pacs manage migrate, goes on then."
            ) from error
        self._told(console, found, done, said.getvalue().strip(), time.monotonic() - began)

    def _told(self, console: Console, found: Manifest, done: Restored, ended: str, seconds: float) -> None:
        moment = f"{found.facts.complete_until:%Y-%m-%d %H:%M:%S} UTC"
        console.print(f"restored  {found.name}: everything that was acknowledged before {moment}")
        console.print(f"objects   {done.objects} ({decimal(done.bytes)}) in {seconds:.1f} s")
        for key in done.left_out[:20]:
            console.print(f"LEFT OUT  {key}: damaged in the backup")
        for key in found.damaged[:20]:
            console.print(f"NOT THERE  {key}: was damaged before the backup was made")
        for kept in done.aside:
            console.print(f"aside     what was there before is {kept} now")
        # A key of a file came back with the secrets; one that is named to every process did not.
        named = os.environ.get("PACS_SECRET_KEY") or os.environ.get("PACS_SECRETS_DIR")
        if named and found.secret_key_id != secret_key_id(settings.PACS):
            console.print("WARNING   PACS_SECRET_KEY is not that of the backup: second factors can't be read with it")
        ahead = _checkpoints_ahead(found)
        if ahead:
            console.print(
                f"WARNING   checkpoints of {ahead} events are kept, the backup has {found.facts.audit_sealed}: keep "
                "those checkpoints as evidence, and name an empty place in PACS_AUDIT__CHECKPOINTS before you start"
            )
        console.print(f"ended     {ended}")
        console.print("\nWhat comes next:")
        console.print(f"- End again what was ended after {moment}: accounts, API keys, share links, restrictions.")
        console.print("- ./pacs audit verify")
        console.print(
            "- ./pacs rebuild --add-missing brings back what the object store has and the backup had not; until then "
            "nothing is removed from the object store."
        )
        console.print(f"- Readers of the change feed go on at position {found.facts.feed_position}.")
        console.print("- ./pacs up")


def _stores(config: Any) -> Callable[[bool], ObjectStore]:
    """Each key says whether its object is sealed, whatever new objects would be by the settings of now."""

    @cache
    def of(sealed: bool) -> ObjectStore:
        encryption = config.encryption.model_copy(update={"at_rest": sealed, "only_sealed": False})
        # The second store may still have its copies; what it lacks is copied by the archive itself.
        alone = config.copies.model_copy(update={"folder": None, "s3": None})
        return build(config.model_copy(update={"encryption": encryption, "copies": alone}))

    return of


def _checkpoints_ahead(found: Manifest) -> int:
    """Of how many events the newest checkpoint speaks, if of more than the backup has; 0 otherwise."""
    try:
        newest = folder().newest()
        size = parse(newest.read_text()).size if newest is not None else 0
    except (OSError, BadCheckpoint, UnicodeDecodeError):
        return 0
    return size if size > found.facts.audit_sealed else 0
