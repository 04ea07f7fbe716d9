"""What the pages about destinations and deliveries ask for."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from hl7.applying import VERSIONS
from hl7.charset import CODECS
from hl7.destinations import PROCESSING_IDS, check
from hl7.models import Hl7Interface
from hl7.outbound_models import DeliveryState, Destination, OrderMessage, OrderTrigger, ReportTrigger

MOST_AT_ONCE: Final = 100
ACTIONS: Final = ("retry", "give_up")


def _choices(values: Any) -> list[tuple[str, str]]:
    return [(each, each) for each in values]


class DestinationForm(forms.Form):
    """A destination as people describe it."""

    name = forms.CharField(max_length=100)
    host = forms.CharField(max_length=253)
    port = forms.IntegerField(min_value=1, max_value=65535)
    tls = forms.BooleanField(required=False)
    ca = forms.CharField(required=False, max_length=100_000)
    interface = forms.ModelChoiceField(Hl7Interface.objects.order_by("name"), required=False)
    echo = forms.BooleanField(required=False)
    order_message = forms.ChoiceField(choices=OrderMessage.choices, required=False)
    order_statuses = forms.MultipleChoiceField(
        choices=OrderTrigger.choices, required=False, initial=OrderTrigger.values
    )
    report_statuses = forms.MultipleChoiceField(choices=ReportTrigger.choices, required=False, initial=["F", "C", "X"])
    pdf = forms.BooleanField(required=False, initial=True)
    answers = forms.BooleanField(required=False)
    version = forms.ChoiceField(choices=_choices(VERSIONS), initial="2.5.1")
    charset = forms.ChoiceField(choices=_choices(CODECS), initial="UNICODE UTF-8")
    sending_application = forms.CharField(required=False, max_length=180, initial="LIGHTBOX")
    sending_facility = forms.CharField(required=False, max_length=180)
    receiving_application = forms.CharField(required=False, max_length=180)
    receiving_facility = forms.CharField(required=False, max_length=180)
    processing_id = forms.ChoiceField(choices=_choices(PROCESSING_IDS), initial="P")
    time_zone = forms.CharField(required=False, max_length=60)

    def clean(self) -> dict[str, Any]:
        """What the rules of destinations say (``hl7.destinations.check``)."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors:
            for field, words in check(given).items():
                self.add_error(field, f"{words[:1].upper()}{words[1:]}.")
        return given

    @classmethod
    def of(cls, destination: Destination) -> DestinationForm:
        """The form as it stands for a destination."""
        return cls(initial={name: getattr(destination, name) for name in cls.base_fields})

    @property
    def order_boxes(self) -> list[tuple[str, str, bool]]:
        """Statuses of orders: value, words, whether it is ticked."""
        return self._boxes("order_statuses", OrderTrigger.choices)

    @property
    def report_boxes(self) -> list[tuple[str, str, bool]]:
        """The same for reports."""
        return self._boxes("report_statuses", ReportTrigger.choices)

    def _boxes(self, field: str, choices: Any) -> list[tuple[str, str, bool]]:
        ticked = self[field].value() or []
        return [(value, words, value in ticked) for value, words in choices]


class DeliveriesAsked(forms.Form):
    """Which messages the page shows."""

    state = forms.ChoiceField(choices=[("open", "on their way"), *DeliveryState.choices], required=False)
    destination = forms.CharField(required=False, max_length=100)


class Chosen(forms.Form):
    """What is to be done with which messages."""

    action = forms.ChoiceField(choices=_choices(ACTIONS))
    message = forms.TypedMultipleChoiceField(coerce=int)
    reason = forms.CharField(required=False, max_length=300)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        ticked = [each for each in data.getlist("message") if each.isascii() and each.isdigit() and len(each) < 19]
        self.fields["message"].choices = _choices(ticked[:MOST_AT_ONCE])  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Giving up needs a reason."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("action") == "give_up" and not given.get("reason", "").strip():
            self.add_error("reason", "Say why they aren't to be sent any more.")
        return given
