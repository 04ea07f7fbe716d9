"""The viewer's configuration: one DICOMweb data source at the page's own origin, and nothing that a link can widen.

The sources that take their address from the link (``dicomjson``, ``dicomwebproxy``; CVE-2026-12473), the one that
opens files of the reader's machine, customizations and configurations named in the link are all left out.
"""

from __future__ import annotations

import json
from typing import Any

DICOMWEB_ROOT = "/dicom-web"
VIEWER_ROOT = "/viewer"

DATA_SOURCE: dict[str, Any] = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "lightbox",
    "configuration": {
        "friendlyName": "Lightbox",
        "name": "lightbox",
        "qidoRoot": DICOMWEB_ROOT,
        "wadoRoot": DICOMWEB_ROOT,
        "wadoUriRoot": DICOMWEB_ROOT,
        "qidoSupportsIncludeField": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "supportsReject": False,
        "imageRendering": "wadors",
        # PS3.18 10.4.1.2: a small JPEG by the server, so that the list of series costs no whole frames.
        "thumbnailRendering": "thumbnail",
        "thumbnailRequestStrategy": "fetch",
        "enableStudyLazyLoad": True,
        "omitQuotationForMultipartRequest": True,
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
        # Video is asked for by the browser's own player, which understands no multipart. PDF is not named: the
        # viewer then fetches the bulk data and shows it from a blob of its own, which the isolated page may embed.
        "singlepart": "bulkdata,video",
        "dicomUploadEnabled": True,
    },
}

APP_CONFIG: dict[str, Any] = {
    "name": "lightbox",
    "routerBasename": VIEWER_ROOT,
    "extensions": [],
    "modes": [],
    # No guided tour over the first images: who reads here knows how to scroll.
    "customizationService": [{"ohif.tours": {"$set": []}}],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 3,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "groupEnabledModesFirst": True,
    "maxNumRequests": {"interaction": 100, "thumbnail": 5, "prefetch": 25},
    "showErrorDetails": "dev",
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "lightbox",
    "dataSources": [DATA_SOURCE],
}

# What JSON cannot carry: absolute roots, the name in the corner, and what to do when the session has ended. The
# viewer's own client sends no CSRF token with what it stores (saved measurements, uploads), hence the last part.
SCRIPT = """\
(() => {
  const config = %(config)s;
  const { origin } = window.location;
  for (const { configuration } of config.dataSources) {
    for (const root of ['qidoRoot', 'wadoRoot', 'wadoUriRoot']) {
      configuration[root] = origin + configuration[root];
    }
  }
  config.whiteLabeling = {
    createLogoComponentFn: React =>
      React.createElement('span', { className: 'text-foreground text-xl font-semibold' }, 'Lightbox'),
  };
  config.httpErrorHandler = error => {
    if (error.status === 401) {
      const { pathname, search } = window.location;
      window.location.assign(%(login)s + '?next=' + encodeURIComponent(pathname + search));
    }
  };
  window.config = config;

  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url) {
    open.apply(this, arguments);
    const token = document.cookie.split('; ').find(each => each.startsWith(%(cookie)s + '='));
    const reads = ['GET', 'HEAD', 'OPTIONS'].includes(method.toUpperCase());
    if (token && !reads && new URL(url, window.location.href).origin === origin) {
      this.setRequestHeader('X-CSRFToken', token.slice(token.indexOf('=') + 1));
    }
  };
})();
"""


def app_config_script(login: str, csrf_cookie: str, mount: str = "", *, upload: bool = True) -> str:
    """``app-config.js``.

    `login` is the path of the sign-in page, `csrf_cookie` the name of the cookie with the token. Below the addresses of
    a share link `mount` is their prefix; `upload` is whether the viewer offers to store files.
    """
    source = DATA_SOURCE["configuration"]
    roots = {name: mount + source[name] for name in ("qidoRoot", "wadoRoot", "wadoUriRoot")}
    config = APP_CONFIG | {
        "routerBasename": mount + VIEWER_ROOT,
        "dataSources": [DATA_SOURCE | {"configuration": source | roots | {"dicomUploadEnabled": upload}}],
    }
    return SCRIPT % {
        "config": json.dumps(config, indent=2),
        "login": json.dumps(login),
        "cookie": json.dumps(csrf_cookie),
    }
