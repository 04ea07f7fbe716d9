"""The words that follow `./pacs`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from standalone.errors import StandaloneError
from standalone.layout import layout

HELP = """\
Lightbox, a DICOMweb-first PACS.

  ./pacs up                start everything and serve http://127.0.0.1:8080/   (Ctrl-C stops it)
         --port N --host NAME --no-samples
  ./pacs stop              stop it from another terminal
  ./pacs status            what runs, where, how many studies
  ./pacs import PATH...    bring in DICOM files, folders and zips
  ./pacs selftest URL      which clauses of DICOMweb a server meets; any server
         --token T | --user NAME   --clean --json
  ./pacs doctor            find out what is wrong, why it matters, and what to do   --json --settings
  ./pacs backup [TO]       encrypted copies of database, secrets and objects, in a folder or s3://bucket/prefix
  ./pacs backups [AT]      which there are, and why they are kept   --prune --dry-run
  ./pacs verify FROM       read a backup to the last byte and restore it into a throw-away database
  ./pacs restore FROM      into an empty installation   --backup NAME --database-only --skip-damaged
  ./pacs audit verify      has anybody altered the access trail
         proof SEQUENCE | key | seal | partitions
  ./pacs scrub             read what is stored again and compare it   --study UID --dry-run --status --json
  ./pacs transcode         write what came uncompressed a second time, compressed without loss
         --dry-run | --status | --all | --study UID | --verify | --pause | --resume
  ./pacs rebuild           make the index anew from the object store alone
         --resume | --add-missing | --dry-run | --accept   --processes N
  ./pacs bench             how fast it is, beside other servers; on throw-away installations
         --orthanc --target NAME=URL[,TOKEN] --phases A,B --quick --out FILE.json
  ./pacs manage WORDS...   a management command of the product (manage help lists them)
  ./pacs test [WORDS...]   run the tests against real services; WORDS go to pytest
         --faults          the long form of the fault scripts in tests/faults
  ./pacs lint              style, types, import directions, scripts

The data lie in var/, or where PACS_DATA says. PACS_DATABASE_URL and PACS_REDIS_URL name servers of yours.
"""


def main(words: Sequence[str]) -> int:
    command, rest = (words[0], list(words[1:])) if words else ("help", [])
    if command in ("help", "-h", "--help"):
        print(HELP, end="")
        return 0
    run = COMMANDS.get(command)
    if run is None:
        print(f"There is no command `{command}`.\n\n{HELP}", end="", file=sys.stderr)
        return 2
    try:
        return run(rest)
    except StandaloneError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _up(words: list[str]) -> int:
    from standalone.up import up

    parser = argparse.ArgumentParser(prog="./pacs up", description="Start everything and serve.")
    parser.add_argument("--port", type=_port, default=8080)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
    parser.add_argument("--no-samples", action="store_true", help="do not load the sample studies at the first start")
    options = parser.parse_args(words)
    return up(layout(), host=options.host, port=options.port, samples=not options.no_samples)


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is no port (1 to 65535)")
    return number


def _stop(words: list[str]) -> int:
    from standalone.stop import stop

    _bare("stop", words)
    return stop(layout())


def _status(words: list[str]) -> int:
    from standalone.status import status

    _bare("status", words)
    return status(layout())


def _doctor(words: list[str]) -> int:
    from standalone.doctor import doctor

    parser = argparse.ArgumentParser(prog="./pacs doctor", description="What is wrong, why it matters, what to do.")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--settings", action="store_true", help="also what the product is set to, without secrets")
    asked = parser.parse_args(words)
    return doctor(layout(), as_json=asked.json, settings=asked.settings)


def _backup(words: list[str]) -> int:
    from standalone.backups import command

    return command(layout(), "backup", words)


def _backups(words: list[str]) -> int:
    from standalone.backups import command

    return command(layout(), "backups", words)


def _restore(words: list[str]) -> int:
    from standalone.backups import command

    return command(layout(), "restore", words)


def _verify(words: list[str]) -> int:
    from standalone.backups import verify

    return verify(layout(), words)


def _import(words: list[str]) -> int:
    from standalone.commands import import_paths

    parser = argparse.ArgumentParser(prog="./pacs import", description="Bring in DICOM files, folders and zips.")
    parser.add_argument("paths", nargs="+", metavar="PATH")
    return import_paths(layout(), parser.parse_args(words).paths)


def _selftest(words: list[str]) -> int:
    from selftest.__main__ import main as selftest

    return selftest(words)


def _audit(words: list[str]) -> int:
    from standalone.commands import manage

    parser = argparse.ArgumentParser(prog="./pacs audit", description="The tamper evidence of the access trail.")
    parser.add_argument("what", choices=("verify", "proof", "key", "seal", "partitions"))
    options, rest = parser.parse_known_args(words[:1])
    return manage(layout(), [f"audit_{options.what}", *rest, *words[1:]])


def _scrub(words: list[str]) -> int:
    from standalone.commands import manage

    return manage(layout(), ["scrub", *words])


def _transcode(words: list[str]) -> int:
    from standalone.commands import manage

    return manage(layout(), ["transcode", *words])


def _rebuild(words: list[str]) -> int:
    from standalone.commands import manage

    return manage(layout(), ["rebuild", *words])


def _bench(words: list[str]) -> int:
    from benchmarks.bench.command import main as bench

    return bench(words)


def _manage(words: list[str]) -> int:
    from standalone.commands import manage

    return manage(layout(), words or ["help"])


def _test(words: list[str]) -> int:
    from standalone.quality import test

    test(words)


def _lint(words: list[str]) -> int:
    from standalone.quality import lint

    _bare("lint", words)
    return lint()


def _bare(command: str, words: list[str]) -> None:
    argparse.ArgumentParser(prog=f"./pacs {command}").parse_args(words)


COMMANDS = {
    "up": _up,
    "stop": _stop,
    "status": _status,
    "doctor": _doctor,
    "backup": _backup,
    "backups": _backups,
    "restore": _restore,
    "verify": _verify,
    "import": _import,
    "selftest": _selftest,
    "audit": _audit,
    "bench": _bench,
    "scrub": _scrub,
    "transcode": _transcode,
    "rebuild": _rebuild,
    "manage": _manage,
    "test": _test,
    "lint": _lint,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
