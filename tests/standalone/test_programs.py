"""The web server has one set of settings, whoever starts it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pacs_project import gunicorn_conf
from standalone.programs import GRACE_SECONDS, Web

ROOT = Path(__file__).resolve().parents[2]


def test_launcher_and_image_share_the_settings(tmp_path: Path) -> None:
    started = Web("::1", 8080, log=tmp_path / "log", environment={}).command()
    image = json.loads(re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.M)[-1])
    for command in (started, image):
        options = [word for word in command if word.startswith("--")]
        assert "--config=python:pacs_project.gunicorn_conf" in options
        assert {option.partition("=")[0] for option in options} == {"--config", "--bind"}
    assert "--bind=[::1]:8080" in started
    assert gunicorn_conf.graceful_timeout == GRACE_SECONDS
