"""The long run: `python -m tests.fuzz.run multipart --seconds 600`. Coverage guides it (atheris, libFuzzer).

What it finds is written beside the corpus as TARGET-crash-...; a minimal case belongs into `regressions/`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from base64 import b64decode
from pathlib import Path

os.environ.setdefault("PACS_SECRET_KEY", "fuzzing")

TARGETS = ("multipart", "part10", "query", "accept", "codestream")
INSTRUMENTED = ("dicom", "dicomweb", "archive")


def kept_corpus(target: str) -> list[bytes]:
    """What earlier long runs of this target reached."""
    lines = (Path(__file__).parent / "corpus" / f"{target}.txt").read_text().splitlines()
    return [b64decode(line) for line in lines]


def main() -> None:
    """Fuzz one target; ends with libFuzzer's own status, which is not 0 after a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path("var/fuzz"), help="what it has learnt is kept here")
    chosen = parser.parse_args()
    try:
        import atheris
    except ImportError:
        parser.exit(2, "atheris is not installed: it has wheels for Linux on x86-64 and Python 3.11 to 3.13\n")
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        target = importlib.import_module(f"tests.fuzz.fuzz_{chosen.target}").TARGET
    folder = chosen.corpus / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate([*target.seeds(), *kept_corpus(target.name)]):
        (folder / f"seed-{number:04}").write_bytes(seed)
    words = chosen.corpus / f"{target.name}.words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
    options = [
        f"-max_total_time={chosen.seconds}",
        f"-max_len={target.longest}",
        f"-dict={words}",
        f"-artifact_prefix={chosen.corpus}/{target.name}-",
        "-timeout=10",
        "-rss_limit_mb=1500",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
