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
  ./pacs doctor            find out what is wrong
  ./pacs audit verify      has anybody altered the access trail
         proof SEQUENCE | key | seal | partitions
  ./pacs transcode         write what came uncompressed a second time, compressed without loss
         --dry-run | --status | --all | --study UID | --verify | --pause | --resume
  ./pacs bench             how fast it is, beside other servers; on throw-away installations
         --orthanc --target NAME=URL[,TOKEN] --phases A,B --quick --out FILE.json
  ./pacs manage WORDS...   a management command of the product (manage help lists them)
  ./pacs test [WORDS...]   run the tests against real services; WORDS go to pytest
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

    _bare("doctor", words)
    return doctor(layout())


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


def _transcode(words: list[str]) -> int:
    from standalone.commands import manage

    return manage(layout(), ["transcode", *words])


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
    "import": _import,
    "selftest": _selftest,
    "audit": _audit,
    "bench": _bench,
    "transcode": _transcode,
    "manage": _manage,
    "test": _test,
    "lint": _lint,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
