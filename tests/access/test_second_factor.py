"""Second factors without pages: codes that are used once, secrets that are sealed, and who must have one."""

import threading
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from django.db import connection

from access import recovery_codes, totp
from access.models import RecoveryCode, SecondFactor, User
from access.second_factor import must_have
from access.second_factor_secret import Unreadable, seal, unseal
from tests.access.second_steps import add_app, code_of

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
# RFC 6238 Appendix B, SHA-1, the last six digits; the secret is the ASCII text 12345678901234567890.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {59: "287082", 1111111109: "081804", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"}


@pytest.fixture
def rita(make_person: Make) -> User:
    person: User = make_person("radiologist", username="rita")
    return person


class TestSeal:
    def test_it_opens_for_its_own_row_only(self) -> None:
        sealed = seal(b"secret", b"row 1")
        assert unseal(sealed, b"row 1") == b"secret"
        assert b"secret" not in sealed
        assert seal(b"secret", b"row 1") != sealed
        with pytest.raises(Unreadable):
            unseal(sealed, b"row 2")

    @pytest.mark.parametrize("at", [0, 16, 28, -1])
    def test_a_changed_byte(self, at: int) -> None:
        sealed = bytearray(seal(b"secret", b"row"))
        sealed[at] ^= 1
        with pytest.raises(Unreadable):
            unseal(bytes(sealed), b"row")

    @pytest.mark.parametrize("sealed", [b"", b"x" * 16, b"x" * 28])
    def test_too_short(self, sealed: bytes) -> None:
        with pytest.raises(Unreadable):
            unseal(sealed, b"row")

    def test_another_key(self, settings: Any, rita: User) -> None:
        secret = add_app(rita)
        settings.SECRET_KEY = "another"
        assert totp.use_code(rita, code_of(secret)) is None
        assert not recovery_codes.use_recovery_code(rita, "x")


class TestCodes:
    @pytest.mark.parametrize(("now", "code"), RFC_CODES.items())
    def test_as_the_standard_has_them(self, now: int, code: str) -> None:
        assert totp._step_of(RFC_SECRET, code, now) == now // 30

    def test_one_step_away_counts_and_two_do_not(self) -> None:
        generator, now = pyotp.TOTP(RFC_SECRET), 1_000_000_015.0
        found = {away: totp._step_of(RFC_SECRET, generator.at(int(now) + away * 30), now) for away in range(-3, 4)}
        here = int(now) // 30
        assert found == {-3: None, -2: None, -1: here - 1, 0: here, 1: here + 1, 2: None, 3: None}

    @pytest.mark.parametrize("code", ["", "28708", "2870822", "28708a", "٢٨٧٠٨٢", "287 08", "\0" * 6, "²87082"])
    def test_no_code(self, code: str) -> None:
        assert totp._step_of(RFC_SECRET, code, 59) is None

    def test_as_apps_show_it(self) -> None:
        assert totp._step_of(RFC_SECRET, " 287 082 ", 59) == 1

    def test_a_code_counts_once(self, rita: User) -> None:
        secret = add_app(rita)
        code = code_of(secret)
        assert totp.use_code(rita, "000000" if code != "000000" else "000001") is None
        assert totp.use_code(rita, code) is not None
        assert totp.use_code(rita, code) is None
        # Nor does any code of an earlier step.
        assert totp.use_code(rita, pyotp.TOTP(secret).now()) is None

    def test_the_code_that_added_the_app_is_used(self, rita: User) -> None:
        new = totp.new_app()
        code = code_of(new.secret)
        assert totp.add_app(rita, new, "Phone", code) is not None
        assert totp.use_code(rita, code) is None

    def test_a_form_sent_twice_adds_one_app(self, rita: User) -> None:
        """Two clicks: both requests have the session as it was before."""
        new = totp.new_app()
        added = [totp.add_app(rita, new, "Phone", code_of(new.secret)) for _ in range(2)]
        assert [found is not None for found in added] == [True, False]
        assert SecondFactor.objects.filter(user=rita).count() == 1

    def test_of_two_apps_each(self, rita: User) -> None:
        for secret in [add_app(rita), add_app(rita)]:
            assert totp.use_code(rita, code_of(secret)) is not None

    def test_not_of_somebody_else(self, rita: User, make_person: Make) -> None:
        secret = add_app(rita)
        assert totp.use_code(make_person("radiologist"), code_of(secret)) is None

    def test_the_secret_is_not_in_the_table(self, rita: User) -> None:
        secret = add_app(rita)
        with connection.cursor() as cursor:
            cursor.execute("SELECT secret FROM access_secondfactor")
            assert secret.encode() not in bytes(cursor.fetchone()[0])

    @pytest.mark.django_db(transaction=True)
    def test_many_at_once_with_one_code(self, rita: User) -> None:
        code = code_of(add_app(rita))
        accepted: list[bool] = []
        together = threading.Barrier(8)

        def show() -> None:
            together.wait()
            accepted.append(totp.use_code(rita, code) is not None)
            connection.close()

        threads = [threading.Thread(target=show) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(accepted) == [False] * 7 + [True]

    def test_the_picture_needs_no_styles(self, rita: User) -> None:
        new = totp.new_app()
        picture = new.picture(rita)
        assert picture.startswith("<svg")
        assert "style" not in picture
        assert "<script" not in picture
        address = new.address(rita)
        assert address.startswith("otpauth://totp/")
        assert f"secret={new.secret}" in address
        assert len(new.secret) == 32


class TestRecoveryCodes:
    def test_each_once(self, rita: User, make_person: Make) -> None:
        codes = recovery_codes.new_codes(rita)
        assert len(set(codes)) == 10
        assert not recovery_codes.use_recovery_code(make_person("auditor"), codes[0])
        assert recovery_codes.use_recovery_code(rita, codes[0])
        assert not recovery_codes.use_recovery_code(rita, codes[0])
        assert recovery_codes.use_recovery_code(rita, codes[1].replace("-", " ").upper())
        assert recovery_codes.codes_left(rita) == 8
        assert not recovery_codes.use_recovery_code(rita, "")

    def test_new_ones_end_the_old(self, rita: User) -> None:
        old = recovery_codes.new_codes(rita)
        recovery_codes.new_codes(rita)
        assert not any(recovery_codes.use_recovery_code(rita, code) for code in old)
        assert recovery_codes.codes_left(rita) == 10

    def test_only_digests_are_kept(self, rita: User) -> None:
        codes = recovery_codes.new_codes(rita)
        stored = str(list(RecoveryCode.objects.values()))
        assert not any(code in stored or code.replace("-", "") in stored for code in codes)


@pytest.mark.parametrize(
    ("setting", "roles", "must"),
    [
        ("optional", ["administrator"], False),
        ("required", ["patient"], True),
        ("required", [], True),
        (["administrator", "auditor"], ["radiologist", "auditor"], True),
        (["administrator"], ["radiologist"], False),
        ([], ["administrator"], False),
    ],
)
def test_who_must_have_one(settings: Any, make_person: Make, setting: Any, roles: list[str], must: bool) -> None:
    settings.PACS = settings.PACS.model_copy(update={"second_factor": setting})
    assert must_have(make_person(*roles)) is must


def test_a_factor_is_an_app_or_a_passkey(rita: User) -> None:
    add_app(rita)
    with pytest.raises(Exception, match="second_factor_is_one_kind"):
        SecondFactor.objects.update(credential_id=b"x")
