"""The button that begins single sign-on, on any page that asks who somebody is."""

from typing import Any

from django import template
from django.conf import settings

register = template.Library()


@register.inclusion_tag("portal/single_sign_on_button.html", takes_context=True)
def single_sign_on(context: dict[str, Any], onward: str = "") -> dict[str, Any]:
    """A form with a button, which leads to ``onward`` afterwards; nothing if no provider is set."""
    oidc = settings.PACS.oidc
    return {
        "title": oidc.title if oidc.issuer else "",
        "next": onward,
        "csrf_token": context.get("csrf_token"),
    }
