"""Every door of the house and the path it stands at."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from access.middleware import open_to_all
from access.tokens import Revoke, Token
from portal.api import Docs, WhoAmI
from portal.health import livez, readyz

handler400 = "pacs_project.errors.bad_request"
handler403 = "pacs_project.errors.forbidden"
handler404 = "pacs_project.errors.not_found"
handler500 = "pacs_project.errors.server_error"

urlpatterns = [
    path("", include("portal.urls")),
    path("administration/", include("administration.urls")),
    path("trail/", include("trail.urls")),
    path("fhir/", include("trail.fhir_urls")),
    path("dicom-web/", include("dicomweb.urls")),
    path("viewer/", include("viewer.urls")),
    path("oauth/token/", open_to_all(Token.as_view()), name="token"),
    path("oauth/revoke/", open_to_all(Revoke.as_view()), name="revoke"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", Docs.as_view(url_name="schema"), name="docs"),
    path("api/whoami", WhoAmI.as_view(), name="whoami"),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
]
