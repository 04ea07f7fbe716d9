"""``./pacs selftest URL``: which clauses of PS3.18 a DICOMweb server meets."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator, Sequence

from selftest.checks import CHECKS, DELETE, Check
from selftest.client import NoAnswer, NotMet, Server, basic
from selftest.objects import make_study
from selftest.report import Finding, as_json, as_text, failed
from selftest.run import NotOffered, Run

PASSWORD = "SELFTEST_PASSWORD"  # noqa: S105 - the name of a variable
_EPILOG = f"""\
A small study of nobody is stored on the server, and stays there unless --clean is given.
The password of --user is taken from the environment variable {PASSWORD}, or asked for.
Exit code 0: everything is met or not offered; 1: something is not met; 2: the words make no sense.
"""


def main(words: Sequence[str]) -> int:
    """Run every check against a server and print what was found. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="./pacs selftest", description=str(__doc__), epilog=_EPILOG, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("url", metavar="URL", help="root of the Studies Service: http://127.0.0.1:8080/dicom-web")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--token", help="send it as a Bearer token")
    who.add_argument("--user", metavar="NAME", help="send HTTP Basic credentials")
    parser.add_argument("--clean", action="store_true", help="delete the study at the end")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="of each answer (30)")
    options = parser.parse_args(words)
    authorization = None
    if options.token:
        authorization = f"Bearer {options.token}"
    elif options.user:
        authorization = basic(options.user, os.environ.get(PASSWORD) or getpass.getpass("Password: "))
    try:
        server = Server(options.url, authorization=authorization, timeout=options.timeout)
    except ValueError as error:
        parser.error(str(error))
    findings = list(run_checks(server, clean=options.clean))
    print((as_json if options.json else as_text)(server.root, findings), end="")
    return 1 if failed(findings) else 0


def run_checks(server: Server, *, clean: bool) -> Iterator[Finding]:
    """A finding for every check, whatever the server answers."""
    run = Run(server, make_study())
    for check in [*CHECKS, *([DELETE] if clean else [])]:
        if check.needs and not run.stored:
            yield Finding(check.clause, check.name, "not met", "not tried: the study was not stored")
        else:
            yield _finding(check, run)


def _finding(check: Check, run: Run) -> Finding:
    try:
        check.make(run)
    except NotOffered as error:
        return Finding(check.clause, check.name, "not offered", str(error))
    except (NotMet, NoAnswer) as error:
        return Finding(check.clause, check.name, "not met", str(error))
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # What a foreign server says may have any form; a finding is made of it, not a traceback.
        why = f"the answer has a form that nobody expects ({type(error).__name__})"
        return Finding(check.clause, check.name, "not met", why)
    return Finding(check.clause, check.name, "met")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
