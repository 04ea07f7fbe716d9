"""Authenticator apps: time-based one-time codes (RFC 6238; SHA-1, 30 s, six digits), each accepted once."""

import hmac
import logging
import re
import time
import uuid
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pyotp
import segno
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from access.models import User
from access.second_factor_models import APP, SecondFactor
from access.second_factor_secret import Unreadable, seal, unseal

STEP_SECONDS: Final = 30
# Codes of one step before and after count: clocks differ, and people type slowly (RFC 6238 5.2).
WINDOW: Final = (-1, 0, 1)
_CODE: Final = re.compile(r"[0-9]{6}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewApp:
    """An app that is being set up: it counts once a code of it was shown."""

    id: uuid.UUID
    secret: str

    def address(self, user: User) -> str:
        """What the QR code says: an ``otpauth://`` address with issuer and account."""
        issuer = f"Lightbox {urlsplit(settings.PACS.public_root).hostname or ''}".strip()
        return pyotp.TOTP(self.secret, interval=STEP_SECONDS).provisioning_uri(name=user.username, issuer_name=issuer)

    def picture(self, user: User) -> str:
        """The QR code as an ``<svg>`` element without styles."""
        code = segno.make(self.address(user), error="m", micro=False)
        return code.svg_inline(scale=4, border=4, omitsize=True, svgclass="qr", lineclass=None)

    def groups(self) -> str:
        """The secret for typing, in groups of four."""
        return " ".join(self.secret[at : at + 4] for at in range(0, len(self.secret), 4))

    def packed(self) -> dict[str, str]:
        """For the session; sealed like a stored one."""
        return {"id": str(self.id), "sealed": b64encode(seal(self.secret.encode(), self.id.bytes)).decode()}

    @classmethod
    def unpacked(cls, packed: dict[str, Any]) -> "NewApp":
        """What ``packed`` gave. Raises Unreadable."""
        found = uuid.UUID(packed["id"])
        return cls(found, unseal(b64decode(packed["sealed"]), found.bytes).decode())


def new_app() -> NewApp:
    """A new secret of 160 bits (RFC 4226 4)."""
    return NewApp(uuid.uuid4(), pyotp.random_base32())


def add_app(user: User, new: NewApp, name: str, code: str) -> SecondFactor | None:
    """Store the app if ``code`` is one of it; the code is thereby used. None if it isn't, or the app is stored."""
    step = _step_of(new.secret, code, time.time())
    if step is None:
        return None
    sealed = seal(new.secret.encode(), new.id.bytes)
    try:
        with transaction.atomic():
            return SecondFactor.objects.create(id=new.id, user=user, kind=APP, name=name, secret=sealed, last_step=step)
    except IntegrityError:
        return None


def use_code(user: User, code: str) -> SecondFactor | None:
    """The app of ``user`` whose code this is, now used; None for a wrong code or one that was used.

    No code of the step of an accepted code, or of an earlier one, is accepted again, however many ask at once.
    """
    now = time.time()
    for factor in SecondFactor.objects.filter(user=user, kind=APP):
        try:
            secret = unseal(bytes(factor.secret), factor.id.bytes).decode()
        except Unreadable:
            _log.error("the secret of authenticator app %s can't be read: was PACS_SECRET_KEY changed?", factor.id)
            continue
        step = _step_of(secret, code, now)
        unused = SecondFactor.objects.filter(pk=factor.pk, last_step__lt=step or 0)
        if step is not None and unused.update(last_step=step, used_at=Now()):
            return factor
    return None


def _step_of(secret: str, code: str, now: float) -> int | None:
    """The time step whose code this is, the latest first; compared in constant time."""
    code = re.sub(r"[\s-]", "", code)
    if not _CODE.fullmatch(code):
        return None
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    current = int(now // STEP_SECONDS)
    steps = [current + away for away in WINDOW]
    found = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(found, default=None)
