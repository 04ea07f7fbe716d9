"""``backup``: database, secrets and objects, encrypted, into a folder or a bucket."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.filesize import decimal

from custody.backups.errors import BackupError
from custody.backups.files import key_file
from custody.backups.keeping import prune, rule_of
from custody.backups.keys import read_or_make
from custody.backups.programs import address
from custody.backups.running import run, tell_of_removal
from custody.backups.snapshot import alone
from custody.backups.target import open_target

_TIME = "%Y-%m-%d %H:%M:%S UTC"


class Command(BaseCommand):
    """``manage.py backup [TO]``: exit code 1 if it failed, or if an object here is damaged and therefore not in it."""

    help = "Makes an encrypted backup, then removes those that are not to be kept any longer."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        parser.add_argument("to", nargs="?", help="a folder or s3://bucket/prefix (PACS_BACKUP__TARGET)")
        parser.add_argument("--objects", action="store_true", help="with S3 as object store: copy the objects as well")
        parser.add_argument("--keep-all", action="store_true", help="remove no older backup")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make one, say what is in it."""
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        config = settings.PACS
        where = options["to"] or config.backup.target
        if not where:
            raise CommandError("say where to: ./pacs backup FOLDER, or set PACS_BACKUP__TARGET")
        if options["objects"]:
            config = config.model_copy(update={"backup": config.backup.model_copy(update={"objects": True})})
        began = datetime.now(UTC)
        try:
            key, made_key = read_or_make(key_file(config))
            target = open_target(where, key, config, make=True)
            if made_key:
                console.print(
                    f"A new key for backups is in {key_file(config)}. KEEP A COPY OF IT SOMEWHERE ELSE, on paper or "
                    "in a safe: it is in no backup, and without it none can be read."
                )
            with console.status("backup") as status:
                made, copied = run(target, config, str(settings.SPECTACULAR_SETTINGS["VERSION"]), status.update)
                gone = [] if options["keep_all"] else self._prune(target, config)
        except BackupError as error:
            raise CommandError(str(error)) from error
        seconds = (datetime.now(UTC) - began).total_seconds()
        console.print(f"backup         {made.name} in {where}")
        console.print(f"complete until {made.facts.complete_until:{_TIME}}")
        console.print(f"written        {decimal(copied.bytes)} in {seconds:.1f} s")
        console.print(f"objects        {made.objects}, of which {copied.objects} are new here")
        if not made.objects_here:
            console.print(
                "               these stay in the bucket, under its own versioning and replication, without --objects"
            )
        for name in gone:
            console.print(f"removed        {name}")
        if made.damaged:
            raise CommandError(
                f"{len(made.damaged)} objects are damaged or missing HERE, and not in it: {', '.join(made.damaged)}"
            )

    def _prune(self, target: Any, config: Any) -> list[str]:
        """Under the lock of backups: one that is being made names objects that nobody else does."""
        with alone(address(connection.settings_dict)):
            gone = prune(target, rule_of(config), dry_run=False, now=datetime.now(UTC), tell=lambda _: None).backups
        tell_of_removal(gone, target.name)
        return gone
