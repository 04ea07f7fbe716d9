"""What the pages about second factors ask for, before and after the sign-in."""

from typing import Final

from django import forms
from django.http import HttpRequest

from access.passkeys import LONGEST_ANSWER
from access.second_factor import LONGEST_NAME, Shown
from access.second_factor_secret import Unreadable
from access.totp import NewApp, new_app

APP_NAME: Final = "Authenticator app"
PASSKEY_NAME: Final = "Passkey"
WRONG_CODE: Final = "This code is wrong or was used already. Wait for the next one."
_NEW_APP: Final = "new_app"


class ShownForm(forms.Form):
    """A second factor that is shown: one of these."""

    code = forms.CharField(max_length=20, required=False)
    passkey = forms.CharField(max_length=LONGEST_ANSWER, required=False)
    recovery_code = forms.CharField(max_length=50, required=False)

    def shown(self) -> Shown:
        """What was shown; nothing for a form that can't be."""
        if not self.is_valid():
            return Shown()
        given = self.cleaned_data
        return Shown(given["code"], given["passkey"], given["recovery_code"])


class NewFactorForm(forms.Form):
    """A new factor: the first code of an app, or what a passkey answered."""

    name = forms.CharField(max_length=LONGEST_NAME, required=False)
    code = forms.CharField(max_length=20, required=False)
    passkey = forms.CharField(max_length=LONGEST_ANSWER, required=False)


def app_in_making(request: HttpRequest) -> NewApp:
    """The app that this session is setting up: the same one until it is finished, so that a page can be shown again."""
    packed = request.session.get(_NEW_APP)
    if packed is not None:
        try:
            return NewApp.unpacked(packed)
        except Unreadable:
            pass
    made = new_app()
    request.session[_NEW_APP] = made.packed()
    return made


def app_is_made(request: HttpRequest) -> None:
    """The next one is another."""
    request.session.pop(_NEW_APP, None)
