"""Arguments that several commands share: a study or a patient, and a moment in the future."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, time
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from access.grants import study_of
from access.marking import patient_called
from access.people import Unknown
from archive.models import Patient, Study


def add_target(parser: ArgumentParser) -> None:
    """The arguments that name a study or a patient."""
    parser.add_argument("study", nargs="?", default="", help="Study Instance UID")
    parser.add_argument("--patient", default="", help="Patient ID: all studies of the patient")
    parser.add_argument("--issuer", default="", help="Issuer of Patient ID, where several patients have this ID")


def target(options: dict[str, Any]) -> Study | Patient:
    """The study or patient that the arguments name. Raises CommandError."""
    if bool(options["study"]) == bool(options["patient"]):
        raise CommandError("name a study, or --patient; not both")
    try:
        if options["study"]:
            return study_of(options["study"])
        return patient_called(options["patient"], options["issuer"])
    except Unknown as error:
        raise CommandError(str(error)) from error


def moment(text: str) -> datetime:
    """A date, meaning its last moment, or a date with time; without a zone it is that of the server."""
    try:
        day, found = parse_date(text), parse_datetime(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    if day is not None:
        found = datetime.combine(day, time.max)
    if found is None:
        raise ArgumentTypeError(f"{text} is no date")
    if timezone.is_naive(found):
        found = timezone.make_aware(found)
    if found <= timezone.now():
        raise ArgumentTypeError(f"{text} is over")
    return found
