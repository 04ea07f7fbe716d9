"""What a run found, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

Verdict = Literal["met", "not met", "not offered"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause of the standard and what became of it; ``why`` is empty if it is met."""

    clause: str
    name: str
    verdict: Verdict
    why: str = ""


def as_text(url: str, findings: Sequence[Finding]) -> str:
    """A table and a line that sums it up."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = [f"DICOMweb self test of {url}", ""]
    for finding in findings:
        line = f"{finding.verdict:<11}  {finding.name:<{width}}  PS3.18 {finding.clause}"
        lines.append(line + (f"\n{'':13}{_printable(finding.why)}" if finding.why else ""))
    return "\n".join([*lines, "", _sum(findings)]) + "\n"


def as_json(url: str, findings: Sequence[Finding]) -> str:
    """The same as one JSON object."""
    found = {"url": url, "summary": _counts(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(found, indent=2) + "\n"


def failed(findings: Sequence[Finding]) -> bool:
    """Whether anything is not met, or nothing at all was found out."""
    return not any(f.verdict == "met" for f in findings) or any(f.verdict == "not met" for f in findings)


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    counted = Counter(finding.verdict for finding in findings)
    return {verdict: counted[verdict] for verdict in VERDICTS}


def _sum(findings: Sequence[Finding]) -> str:
    found = _counts(findings)
    return f"{found['met']} met, {found['not met']} not met, {found['not offered']} not offered"


def _printable(text: str) -> str:
    """Text of an unknown server, fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
