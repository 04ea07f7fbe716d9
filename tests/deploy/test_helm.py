"""The chart, by Helm's own library: linted, rendered, held against the schemas of Kubernetes. No cluster was there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

helm_python = pytest.importorskip("helm_python", reason="Helm's library has no build for this kind of machine")

CHART = Path(__file__).resolve().parents[2] / "deploy/helm/lightbox"
NEEDED: dict[str, Any] = {
    "publicRoot": "https://pacs.example.org",
    "existingSecret": "lightbox-secrets",
    "s3": {"bucket": "lightbox-objects"},
    "audit": {"checkpoints": "s3://lightbox-checkpoints/trail"},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "what must be set": {},
    "all that can be": {
        "settings": {"PACS_SECOND_FACTOR": "required", "PACS_IDLE_MINUTES": 10, "PACS_COMMITMENT_READS_OBJECTS": True},
        "hl7": {"tlsSecret": "mllp-tls", "service": {"type": "LoadBalancer", "annotations": {"a/b": "c"}}},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/lightbox"}},
        "image": {"digest": "@sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "ingress": {"className": "nginx"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "pacs", "operator": "Exists"}],
    },
    "as little as can be": {
        "hl7": {"enabled": False},
        "ingress": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "web": {"autoscaling": {"enabled": False}},
        "worker": {"autoscaling": {"enabled": False}},
        "serviceAccount": {"create": False},
    },
}
# The oldest version that the chart admits, and a new one.
VERSIONS = ("1.28", "1.33")
POD_KINDS = ("Deployment", "Job")


def rendered(**values: Any) -> list[dict[str, Any]]:
    chart = helm_python.Chart.load(CHART)
    try:
        texts = chart.render(NEEDED | values, name="night", namespace="pacs")
    finally:
        chart.close()
    return [part for name, text in texts.items() if name.endswith(".yaml") for part in yaml.safe_load_all(text) if part]


@pytest.fixture(scope="module", params=VARIANTS)
def manifests(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(**VARIANTS[request.param])


def pods(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in manifests:
        if manifest["kind"] in POD_KINDS:
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]


def test_helm_has_nothing_to_say() -> None:
    report = helm_python.lint(CHART, NEEDED, strict=True)
    # An icon is a matter of taste, and told as information.
    assert [message for message in report["messages"] if message["severity"] > 1] == []
    assert report["errors"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_schema(manifests: list[dict[str, Any]], version: str) -> None:
    assert len(manifests) > 8
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"publicRoot": "http://pacs.example.org"},
        {"publicRoot": ""},
        {"existingSecret": ""},
        {"s3": {"bucket": ""}},
        {"audit": {"checkpoints": "/var/checkpoints"}},
        {"settings": {"SECRET": "x"}},
        {"settings": {"PACS_STORE_WHEN_DOWN": "spool"}},
        {"settings": {"PACS_ENCRYPTION__AT_REST": True}},
        {"settings": {"PACS_TIERS__COLD__FOLDER": "/var/lib/lightbox/cold"}},
        {"web": {"replicas": 0}},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmError):
        rendered(**wrong)


def test_pods_have_no_more_rights_than_they_need(manifests: list[dict[str, Any]]) -> None:
    for name, pod in pods(manifests):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert "memory" in container["resources"]["limits"], name


def test_every_pod_that_serves_is_probed_and_may_be_missed() -> None:
    manifests = rendered()
    probed = {name for name, pod in pods(manifests) if "livenessProbe" in pod["containers"][0]}
    assert probed == {"night-web", "night-worker", "night-hl7"}  # relay has nobody to answer; migrate ends
    kept = {m["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for m in of("PodDisruptionBudget")}
    assert kept == {"web", "worker", "relay", "hl7"}
    assert {m["spec"]["scaleTargetRef"]["name"] for m in of("HorizontalPodAutoscaler")} == {"night-web", "night-worker"}
    [web] = [m for m in of("Deployment") if m["metadata"]["name"] == "night-web"]
    assert web["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    # What gunicorn takes to end its requests comes after the time in which routes go.
    assert web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60


def of(kind: str, **values: Any) -> list[dict[str, Any]]:
    return [manifest for manifest in rendered(**values) if manifest["kind"] == kind]


def test_tables_are_brought_up_to_date_before_anything_else_is_new() -> None:
    [job] = of("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    # At the first time nothing else of the chart is there.
    assert "serviceAccountName" not in pod
    assert [list(source) for source in container["envFrom"]] == [["secretRef"]]
    assert {"name": "PACS_S3__BUCKET", "value": "lightbox-objects"} in container["env"]


def test_every_component_has_a_policy_and_selects_its_own_pods() -> None:
    manifests = rendered()
    labels = {
        name: m["spec"]["template"]["metadata"]["labels"]
        for m in manifests
        if m["kind"] in POD_KINDS
        for name in [m["metadata"]["name"]]
    }
    policies = of("NetworkPolicy")
    for name, own in labels.items():
        fitting = [p for p in policies if p["spec"]["podSelector"]["matchLabels"].items() <= own.items()]
        assert [p["metadata"]["name"] for p in fitting] == [name]
    closed = {p["metadata"]["name"] for p in policies if not p["spec"]["ingress"]}
    assert closed == {"night-migrate"}
    for service in of("Service"):
        selected = [name for name, own in labels.items() if service["spec"]["selector"].items() <= own.items()]
        assert selected == [service["metadata"]["name"]]


def test_every_pod_that_stays_is_scraped_by_the_monitoring_and_nobody_else() -> None:
    watching = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    policies = {p["metadata"]["name"]: p["spec"]["ingress"] for p in of("NetworkPolicy")}
    for deployment in of("Deployment"):
        name, template = deployment["metadata"]["name"], deployment["spec"]["template"]
        told = template["metadata"]["annotations"]
        assert (told["prometheus.io/scrape"], told["prometheus.io/path"]) == ("true", "/metrics"), name
        port = int(told["prometheus.io/port"])
        [container] = template["spec"]["containers"]
        assert port in [each["containerPort"] for each in container["ports"]], name
        if name != "night-web":
            env = {each["name"]: each["value"] for each in container["env"]}
            assert (env["PACS_METRICS__HOST"], env["PACS_METRICS__PORT"]) == ("0.0.0.0", str(port)), name  # noqa: S104
            [rule] = [rule for rule in policies[name] if {"protocol": "TCP", "port": port} in rule["ports"]]
            assert rule == {"from": watching, "ports": [{"protocol": "TCP", "port": port}]}, name


def test_settings_are_those_of_the_product() -> None:
    """Each PACS_ name is a field of Config; a misspelt one would be passed over in silence."""
    from pacs_project.config import Config

    def known(name: str) -> bool:
        model: Any = Config
        *above, last = name.removeprefix("PACS_").lower().split("__")
        for part in above:
            model = model.model_fields[part].annotation
        return last in model.model_fields

    values = VARIANTS["all that can be"]
    names = {name for m in of("ConfigMap", **values) for name in m["data"]}
    names |= {each["name"] for _, pod in pods(rendered(**values)) for each in pod["containers"][0].get("env", [])}
    assert len(names) > 10
    assert [name for name in sorted(names) if not known(name)] == []
    text = (CHART / "values.yaml").read_text()
    secrets = {"PACS_SECRET_KEY", "PACS_DATABASE_URL", "PACS_REDIS_URL", "PACS_S3__ACCESS_KEY_ID"}
    secrets |= {"PACS_METRICS__TOKEN"}
    assert [name for name in secrets if name not in text or not known(name)] == []


def test_no_secret_is_written_down() -> None:
    words = ("password", "secret_key", "access_key", "_url")
    for manifest in of("ConfigMap"):
        found = {name: value for name, value in manifest["data"].items() if any(w in name.lower() for w in words)}
        assert found == {"PACS_S3__ENDPOINT_URL": ""}
    assert of("Secret") == []


def test_commands_are_those_of_the_image() -> None:
    commands = {name: pod["containers"][0].get("command") for name, pod in pods(rendered())}
    compose = yaml.safe_load((CHART.parents[2] / "compose.yaml").read_text())["services"]
    assert commands["night-web"] is None
    assert commands["night-relay"] == compose["relay"]["command"]
    assert commands["night-hl7"] == compose["hl7"]["command"]
    assert commands["night-migrate"] == compose["migrate"]["command"]
    worker = next(pod["containers"][0] for name, pod in pods(rendered()) if name == "night-worker")
    assert worker["command"] + worker["args"] == compose["worker"]["command"]
