"""Django settings, derived from ``pacs_project.config``; nothing here reads the environment itself."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pacs_project.config import BASE, config
from telemetry.shared_values import keep_in

PACS = config()
# Before anything is counted.
keep_in(PACS.metrics.folder or PACS.data / "metrics")

SECRET_KEY = PACS.secret_key.get_secret_value()
DEBUG = PACS.debug
ALLOWED_HOSTS = [*PACS.allowed_hosts, urlsplit(PACS.public_root).hostname or "localhost"]
CSRF_TRUSTED_ORIGINS = [PACS.public_root]
ROOT_URLCONF = "pacs_project.urls"
WSGI_APPLICATION = "pacs_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "corsheaders",
    "rest_framework",
    "oauth2_provider",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "audit",
    "archive",
    "access",
    "worklist",
    "workitems",
    "dicomweb",
    "portal",
    "administration",
    "trail",
    "viewer",
    "technologist",
    "reports",
    "hl7",
    "custody.backups",
    "custody.facts",
    "custody.integrity",
    "custody.modes",
    "custody.retention",
    "custody.tiers",
    "pacs_project",
]

MIDDLEWARE = [
    "pacs_project.middleware.RequestContext",
    "pacs_project.middleware.Cors",
    "pacs_project.read_only.ReadOnlyMode",
    "access.link_door.ShareMount",
    "dicomweb.door.DicomwebDoor",
    # What follows is for pages and forms.
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "pacs_project.middleware.Common",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "access.middleware.AbsoluteSessionLimit",
    "access.middleware.SignInRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "access.navigation.bar",
            ]
        },
    }
]


def database(url: str) -> dict[str, Any]:
    """Django's form of a ``postgresql://`` URL; ``?host=/socket/folder`` names a unix socket."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError("PACS_DATABASE_URL must be a postgresql:// URL")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "pacs_project.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "pacs",
        "USER": unquote(parts.username or query.pop("user", "")),
        "PASSWORD": unquote(parts.password or query.pop("password", "")),
        "HOST": parts.hostname or query.pop("host", ""),
        "PORT": str(parts.port or query.pop("port", "")),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **{key: value for key, value in query.items() if key not in ("user", "password", "host", "port")},
            "options": f"-c statement_timeout={PACS.limits.statement_seconds * 1000}",
            "connect_timeout": 5,
            # A host that has gone without a word; what else never answers is seen by pacs_project.postgresql.watch.
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    }


DATABASES = {"default": database(PACS.database_url)}


def broker(url: str) -> str:
    """Celery's form of a Valkey URL: ``unix://`` becomes ``redis+socket://``."""
    return (
        "redis+socket://" + url.removeprefix("unix://").replace("?db=", "?virtual_host=", 1)
        if url.startswith("unix://")
        else url
    )


CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# What runs beside the relay, each in a thread: called with the event that stops it, answers a context manager.
RELAY_THREADS = [
    "audit.sealer.Sealer",
    "trail.companions.syslog",
    "trail.companions.watch",
    "access.emergency_watch.EmergencyWatch",
    "workitems.watch.WorkItemWatch",
    "hl7.sender.Deliveries",
    "hl7.watch.Hl7Watch",
    "custody.backups.watch.BackupWatch",
    "custody.integrity.background.ScrubWatch",
    "audit.activity.RelayRun",
]

CELERY_BROKER_URL = broker(PACS.redis_url)
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 900
CELERY_TASK_SOFT_TIME_LIMIT = 840
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_timeout": 5, "socket_connect_timeout": 5}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Celery would end the database session with each task; `pacs_project.celery` ends those that are old or broken.
CELERY_DB_REUSE_MAX = 1 << 40

AUTH_USER_MODEL = "access.User"
AUTHENTICATION_BACKENDS = ["access.backends.PasswordBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 15}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "access.password_rules.NotGuessable"},
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
OAUTH2_PROVIDER_APPLICATION_MODEL = "access.Client"
OAUTH2_PROVIDER = {
    "ACCESS_TOKEN_EXPIRE_SECONDS": PACS.access_token_seconds,
    "OAUTH2_VALIDATOR_CLASS": "access.oauth_validator.Validator",
    "OIDC_ISS_ENDPOINT": PACS.public_root,
    "REFRESH_TOKEN_EXPIRE_SECONDS": PACS.app_session_hours * 3600,
    # What each opens, and who may have it: access.smart.
    "SCOPES": {"dicomweb": "all that the roles allow"},
    "DEFAULT_SCOPES": ["dicomweb"],
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
}
# Paths of machines: whoever isn't signed in gets 401 there, never the way to the sign-in page, and errors are JSON.
API_PREFIXES = (
    "/dicom-web/",
    "/oauth/token/",
    "/oauth/revoke/",
    "/oauth/introspect/",
    "/share/",
    "/.well-known/",
    "/fhir/",
    "/hl7/",
)

SESSION_ENGINE = "access.sessions"
SESSION_COOKIE_NAME = "lightbox_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PACS.secure
# The row must live as long as anybody's limit; whose session ends when is decided in access.middleware.
SESSION_COOKIE_AGE = int(max(PACS.idle_minutes, *PACS.idle_minutes_by_role.values(), 0) * 60)
CSRF_COOKIE_NAME = "lightbox_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = PACS.secure
CSRF_FAILURE_VIEW = "pacs_project.errors.forged"
SECURE_CONTENT_TYPE_NOSNIFF = True
# Not no-referrer: browsers then send "Origin: null" with our own forms.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if PACS.secure else 0
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
APPEND_SLASH = False

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["access.authentication.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["access.authentication.HasPrincipal"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "pacs_project.errors.api_problem",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Lightbox",
    "DESCRIPTION": "A DICOMweb-first cloud PACS: QIDO-RS, WADO-RS and STOW-RS (PS3.18) over object storage.",
    "VERSION": "0.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PERMISSIONS": ["access.authentication.HasPrincipal"],
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "AccountKind": ["person", "client"],
        "ClientKind": ["machine", "device", "app"],
        "LimitKind": ["site", "issuer", "department"],
        "Hl7MessageState": "hl7.models.MessageState",
        "DeliveryState": "hl7.models.DeliveryState",
        "ReconciliationDecision": "worklist.queue_view.DECISIONS",
    },
    "PREPROCESSING_HOOKS": ["pacs_project.openapi.without_dicomweb"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "pacs_project.openapi.complete"],
}

# Web viewers served from elsewhere reach DICOMweb and the token endpoint with a Bearer token, never with the cookie.
CORS_ALLOWED_ORIGINS = PACS.cors_origins
CORS_URLS_REGEX = r"^/(dicom-web/|oauth/(token|revoke|introspect)/|share/token$|\.well-known/)"
CORS_ALLOW_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "range",
]
CORS_EXPOSE_HEADERS = [
    "Accept-Ranges",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Link",
    "Retry-After",
    "Warning",
    "X-Request-ID",
    "X-Total-Count",
]
CORS_PREFLIGHT_MAX_AGE = 600

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"chosen": {"()": "pacs_project.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Django's own handlers would write tracebacks with their values.
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR"},
        # Their messages quote header fields.
        "django.security": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
SILENCED_SYSTEM_CHECKS: list[str] = []
BASE_DIR = BASE
