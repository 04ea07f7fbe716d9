"""Ten codes for the day on which phone and keys are lost: each is used once, and all are shown once."""

import re
import secrets
from typing import Final

from django.db import transaction
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from access.models import User
from access.passwords import ALPHABET
from access.second_factor_models import RecoveryCode

COUNT: Final = 10
_GROUPS: Final = 4
_GROUP_LENGTH: Final = 4


def new_codes(user: User) -> list[str]:
    """Ten new codes of 79 bits instead of those until now."""
    codes = ["-".join(_group() for _ in range(_GROUPS)) for _ in range(COUNT)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(user, code)) for code in codes)
    return codes


def use_recovery_code(user: User, code: str) -> bool:
    """True if this is one of the person's unused codes; it is used now. Hyphens, spaces and case don't matter."""
    unused = RecoveryCode.objects.filter(user=user, digest=_digest(user, code), used_at__isnull=True)
    return bool(unused.update(used_at=Now()))


def codes_left(user: User) -> int:
    """How many are unused."""
    return RecoveryCode.objects.filter(user=user, used_at__isnull=True).count()


def _group() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(_GROUP_LENGTH))


def _digest(user: User, code: str) -> str:
    """Keyed with ``SECRET_KEY``: the table alone doesn't let anybody try codes."""
    plain = re.sub(r"[\s-]", "", code).casefold()
    return salted_hmac("access.recovery_codes", f"{user.external_id}:{plain}", algorithm="sha256").hexdigest()
