"""Every door of the house and the path it stands at."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from access.discovery import authorization_server, smart_configuration
from access.middleware import open_to_all
from access.tokens import Introspect, Revoke, Token
from dicomweb.urls import often_first
from pacs_project.metrics_view import metrics
from portal import consent
from portal.api import Docs, WhoAmI
from portal.emergency_api import EmergencyAccesses, OneEmergencyAccess
from portal.health import livez, readyz
from portal.quality_api import QualityFindings
from portal.recall_api import Recalls
from portal.reports_api import Attached, Document, OneReport, OneVersion, Reports, ReportsOfStudy
from portal.status import status

handler400 = "pacs_project.errors.bad_request"
handler403 = "pacs_project.errors.forbidden"
handler404 = "pacs_project.errors.not_found"
handler500 = "pacs_project.errors.server_error"

urlpatterns = [
    # They are tried in turn, and nothing is asked for as often.
    path("dicom-web/", include(often_first)),
    path("", include("portal.urls")),
    path("administration/", include("administration.urls")),
    path("trail/", include("trail.urls")),
    path("fhir/", include("trail.fhir_urls")),
    path("viewer/", include("viewer.urls")),
    path("hl7/", include("hl7.urls")),
    path("interfaces/", include("hl7.pages_urls")),
    path("worklist/", include("technologist.urls")),
    path("oauth/authorize/", consent.page, name="authorize"),
    path("oauth/token/", open_to_all(Token.as_view()), name="token"),
    path("oauth/revoke/", open_to_all(Revoke.as_view()), name="revoke"),
    path("oauth/introspect/", open_to_all(Introspect.as_view()), name="introspect"),
    path(".well-known/smart-configuration", smart_configuration, name="smart-configuration"),
    path("dicom-web/.well-known/smart-configuration", smart_configuration),
    path(".well-known/oauth-authorization-server", authorization_server, name="authorization-server"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", Docs.as_view(url_name="schema"), name="docs"),
    path("api/", include("administration.api_urls")),
    path("api/hl7/", include("hl7.api_urls")),
    path("api/worklist/", include("technologist.api_urls")),
    path("api/whoami", WhoAmI.as_view(), name="whoami"),
    path("api/emergency-access", EmergencyAccesses.as_view(), name="api-emergencies"),
    path("api/emergency-access/<uuid:access>", OneEmergencyAccess.as_view(), name="api-emergency"),
    path("api/quality/findings", QualityFindings.as_view(), name="api-quality-findings"),
    path("api/studies/<str:study>/recall", Recalls.as_view(), name="api-recall"),
    path("api/reports", Reports.as_view(), name="api-reports"),
    path("api/studies/<str:study>/reports", ReportsOfStudy.as_view(), name="api-study-reports"),
    path("api/reports/<int:report>", OneReport.as_view(), name="api-report"),
    path("api/reports/<int:report>/versions/<int:version>", OneVersion.as_view(), name="api-report-version"),
    path("api/reports/<int:report>/versions/<int:version>/document", Document.as_view(), name="api-report-document"),
    path(
        "api/reports/<int:report>/versions/<int:version>/attachments/<int:place>",
        Attached.as_view(),
        name="api-report-attachment",
    ),
    path("metrics", metrics, name="metrics"),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("status", status, name="status"),
]
