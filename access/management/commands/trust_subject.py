"""``trust_subject NAME --issuer ISSUER --subject SUBJECT``: who somebody is at a sign-in service or another issuer."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access.federation import NotLinked, issuers, link, unlink
from access.people import Unknown, create_client, described
from access.refused_change import RefusedChange
from access.roles import ROLES


class Command(BaseCommand):
    """Link a subject to a person or machine, or end the link."""

    help = "Link a subject of the sign-in service, or of a trusted issuer, to a person or machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name, an issuer of the settings and a subject as the issuer writes it."""
        parser.add_argument("name")
        parser.add_argument("--subject", required=True, help="as the issuer's tokens name it (claim sub)")
        parser.add_argument("--issuer", help="may be left out if the settings know only one")
        parser.add_argument("--role", choices=sorted(ROLES), help="make a new machine with this role first")
        parser.add_argument("--remove", action="store_true", help="end the link")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say who is linked now."""
        name, subject = options["name"], options["subject"]
        known = issuers()
        issuer = options["issuer"] or (known[0] if len(known) == 1 else "")
        if not issuer:
            raise CommandError(f"name the issuer; the settings know {', '.join(known) or 'none'}")
        try:
            if options["remove"]:
                unlink(name, issuer, subject)
                self.stdout.write(f"{name} is no longer linked to this subject.")
                return
            with transaction.atomic():
                if options["role"]:
                    create_client(name, options["role"])
                account = link(name, issuer, subject)
        except (NotLinked, RefusedChange, Unknown) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{described(account)} ({name}) is linked to this subject of {issuer}.")
