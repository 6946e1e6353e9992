"""The container file and the manifests: they parse, fit together, and say what the command line takes."""

import json
import shlex

import pytest
import yaml
from conftest import ROOT
from typer.main import get_command

from gym_jax.cli import app
from gym_jax.cli.serve import PORT

DEPLOY = ROOT / "deploy"
FILES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DOCUMENTS = [document for file in FILES for document in yaml.safe_load_all(file.read_text())]


def pod_of(document):
    spec = document["spec"]
    return (spec["jobTemplate"]["spec"] if document["kind"] == "CronJob" else spec)["template"]


WORKLOADS = [document for document in DOCUMENTS if document["kind"] in ("Deployment", "CronJob")]
named = pytest.mark.parametrize("document", WORKLOADS, ids=lambda document: document["kind"])


def parses(words):
    """Let the command line read what a container is started with; nothing is run."""
    command, words = get_command(app), list(words)
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return command.make_context(command.name, words).params


def lines_of_dockerfile():
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]


def test_the_container_file_is_pinned_without_root_and_started_as_the_command_line_reads_it():
    lines = lines_of_dockerfile()
    words = {name for name, _ in lines}
    assert "ADD" not in words
    for rest in (rest for name, rest in lines if name == "FROM"):
        tag = rest.split()[0].rpartition(":")[2]
        assert tag[0].isdigit(), "a version, never latest"
    last = dict(lines)
    user, group = last["USER"].split(":")
    assert int(user) >= 10_000 <= int(group)
    assert int(last["EXPOSE"]) == PORT
    started = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    assert started[0] == "gymjax"
    assert parses(started[1:])["host"] == "0.0.0.0"
    for rest in (rest for name, rest in lines if name == "COPY" and not rest.startswith("--from")):
        for place in shlex.split(rest)[:-1]:
            assert (ROOT / place).exists(), place
            assert f"!{place}" in (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    check = last["HEALTHCHECK"].partition("CMD ")[2]
    assert f"127.0.0.1:{PORT}/readyz" in json.loads(check)[2]


@named
def test_a_manifest_runs_without_rights_and_writes_only_where_it_says(document):
    pod = pod_of(document)["spec"]
    assert pod["automountServiceAccountToken"] is False
    own = pod["securityContext"]
    assert own["runAsNonRoot"] is True
    assert own["seccompProfile"]["type"] == "RuntimeDefault"
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    assert not container["image"].endswith(":latest")
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    last = dict(lines_of_dockerfile())
    assert f"{own['runAsUser']}:{own['runAsGroup']}" == last["USER"]


@named
def test_what_a_manifest_starts_is_what_the_command_line_takes(document):
    (container,) = pod_of(document)["spec"]["containers"]
    taken = parses(container["args"])
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    for key in ("data", "out", "run", "token_file"):
        if taken.get(key):
            assert any(str(taken[key]).startswith(place) for place in places), key
    if document["kind"] == "CronJob":
        assert taken["format"] == "vpa"
        return
    assert all(word.partition("=")[2].startswith("/models/") for word in taken["models"])
    assert taken["port"] == PORT == container["ports"][0]["containerPort"]


def test_the_service_and_the_probes_reach_the_server():
    from fake_models import served

    from gym_jax.serve.api.app import make_app
    from gym_jax.serve.api.batch import Batcher
    from gym_jax.serve.api.limits import USUAL
    from gym_jax.serve.api.meters import Meters
    from gym_jax.serve.api.shelf import Shelf

    meters = Meters()
    routes = {route.path for route in make_app(Shelf({"fake": served()}, meters), Batcher(meters)).routes}
    deployment = next(one for one in DOCUMENTS if one["kind"] == "Deployment")
    service = next(one for one in DOCUMENTS if one["kind"] == "Service")
    labels = pod_of(deployment)["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (container,) = pod_of(deployment)["spec"]["containers"]
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in routes
        assert asked["port"] == container["ports"][0]["name"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod_of(deployment)["spec"]["terminationGracePeriodSeconds"] > pause + USUAL.leave_seconds
    assert pod_of(deployment)["metadata"]["annotations"]["prometheus.io/path"] in routes


@pytest.mark.extras
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_the_schema_of_kubernetes_takes_every_manifest(document):
    import kubernetes_validate

    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    wrong = document | {"spec": document["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)
