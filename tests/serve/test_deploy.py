"""The container file and the manifests: they parse, fit together, and say what the command line takes."""

import getpass
import json
import os
import re
import shlex
import shutil
import socket
import subprocess

import pytest
import yaml
from conftest import ROOT
from typer.main import get_command

from gym_jax.cli import app
from gym_jax.cli.serve import PORT
from gym_jax.config.load import load_config
from gym_jax.errors import EXIT_CODES
from gym_jax.train.processes import COORDINATOR, PROCESS, PROCESSES

DEPLOY = ROOT / "deploy"
FILES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DOCUMENTS = [document for file in FILES for document in yaml.safe_load_all(file.read_text())]


def job_of(document):
    """Return the batch/v1 Job that a document makes, if any."""
    spec = document["spec"]
    if document["kind"] == "JobSet":
        (one,) = spec["replicatedJobs"]
        spec = one["template"]["spec"]
    elif document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    elif document["kind"] != "Job":
        return None
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": document["metadata"], "spec": spec}


def pod_of(document):
    return (job_of(document) or document)["spec"]["template"]


WORKLOADS = [document for document in DOCUMENTS if document["kind"] != "Service"]
TRAININGS = [document for document in DOCUMENTS if document["kind"] in ("Job", "JobSet")]
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
    for key in ("data", "out", "run", "root", "token_file"):
        if taken.get(key):
            assert any(str(taken[key]).startswith(place) for place in places), key
    if document["kind"] == "CronJob":
        assert taken["format"] == "vpa"
    if document["kind"] != "Deployment":
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
    service = next(one for one in DOCUMENTS if one["metadata"]["name"] == "gymjax-serve" and one["kind"] == "Service")
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


@pytest.mark.parametrize("document", TRAININGS, ids=lambda document: document["kind"])
def test_the_pods_of_a_training_meet_and_are_told_which_they_are(document):
    job, name = job_of(document)["spec"], document["metadata"]["name"]
    (container,) = job["template"]["spec"]["containers"]
    own = {one["name"]: one for one in container["env"]}
    assert job["completionMode"] == "Indexed"
    assert int(own[PROCESSES]["value"]) == job["completions"] == job["parallelism"]
    index = own[PROCESS]["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    host, _, port = own[COORDINATOR]["value"].partition(":")
    assert int(port) == container["ports"][0]["containerPort"]
    if document["kind"] == "JobSet":  # NAME-JOB-INDEX-POD.NAME
        assert host == f"{name}-{document['spec']['replicatedJobs'][0]['name']}-0-0.{name}"
        assert document["spec"]["network"]["enableDNSHostnames"]
    else:  # NAME-INDEX.SERVICE, of a Service without an address of its own, which knows pods that are not ready
        service = next(one for one in DOCUMENTS if one["kind"] == "Service" and one["metadata"]["name"] == name)
        assert host == f"{name}-0.{job['template']['spec']['subdomain']}"
        assert job["template"]["spec"]["subdomain"] == name
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"] is True
        assert service["spec"]["selector"].items() <= job["template"]["metadata"]["labels"].items()
    overrides = [word for word in container["args"] if "=" in word and not word.startswith("-")]
    settings = load_config([], overrides).train
    assert settings.placement == "shard"
    assert settings.join_seconds > 60  # pods are started one after the other, images are pulled
    assert parses(container["args"])["resume"] == "auto"


@pytest.mark.parametrize("document", TRAININGS, ids=lambda document: document["kind"])
def test_a_training_outlives_eviction_and_ends_where_another_try_is_of_no_use(document):
    job = job_of(document)["spec"]
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # else there are no rules
    assert pod["terminationGracePeriodSeconds"] >= 60
    hopeless = job["podFailurePolicy"]["rules"][0]
    assert hopeless["action"] == "FailJob"
    assert {EXIT_CODES[code].split()[0] for code in hopeless["onExitCodes"]["values"]} == {"usage", "data", "missing"}
    assert document["kind"] == "JobSet" or job["podFailurePolicy"]["rules"][2]["onExitCodes"]["values"] == [143]
    named = [rule["onExitCodes"]["containerName"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert {*named} == {container["name"] for container in pod["containers"]}


JOBSET = {
    "spec": {"network", "failurePolicy", "replicatedJobs", "ttlSecondsAfterFinished", "suspend", "successPolicy"},
    "network": {"enableDNSHostnames", "publishNotReadyAddresses", "subdomain"},
    "failurePolicy": {"maxRestarts", "restartStrategy", "rules"},
    "rule": {"name", "action", "onJobFailureReasons", "onJobFailureMessagePatterns", "targetReplicatedJobs"},
    "replicatedJob": {"name", "replicas", "template", "dependsOn", "groupName"},
}
"""What jobset.x-k8s.io/v1alpha2 names its fields; its schema is in no package. Its Jobs are those of Kubernetes."""


def test_a_jobset_has_the_fields_of_its_version():
    document = next(one for one in DOCUMENTS if one["kind"] == "JobSet")
    spec = document["spec"]
    assert document["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
    parts = [("spec", spec), ("network", spec["network"]), ("failurePolicy", spec["failurePolicy"])]
    parts += [("rule", rule) for rule in spec["failurePolicy"]["rules"]]
    parts += [("replicatedJob", one) for one in spec["replicatedJobs"]]
    for name, part in parts:
        assert set(part) <= JOBSET[name], name
    assert isinstance(spec["failurePolicy"]["maxRestarts"], int)
    assert spec["failurePolicy"]["rules"][0]["action"] in ("FailJobSet", "RestartJobSet")


BATCH_SCRIPT = DEPLOY / "slurm" / "train.sbatch"


@pytest.mark.posix
def test_the_batch_script_is_right_and_starts_what_the_command_line_takes(tmp_path):
    subprocess.run(["bash", "-n", BATCH_SCRIPT], check=True)
    text = BATCH_SCRIPT.read_text()
    told = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, re.MULTILINE))
    assert told["ntasks-per-node"] == "1"
    assert "requeue" in told
    name, _, seconds = told["signal"].partition("@")
    assert (name, int(seconds) >= 60) == ("TERM", True)  # to the processes: with B: it would be to the script alone
    for fake, code in (("exit 0", 0), ("exit 143", 143), ("exit 5", 5)):
        for tool, body in (
            ("srun", f'echo "$@" >> {tmp_path}/srun.log; {fake}'),
            ("scontrol", f'echo "$@" >> {tmp_path}/requeue.log'),
        ):
            (tmp_path / tool).write_text(f"#!/bin/bash\n{body}\n")
            (tmp_path / tool).chmod(0o755)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "7"}
        done = subprocess.run(["bash", BATCH_SCRIPT, "/d/a b", "/runs", "train.epochs=3"], env=environment, check=False)
        assert done.returncode == code
    assert (tmp_path / "requeue.log").read_text() == "requeue 7\n"
    words = shlex.split((tmp_path / "srun.log").read_text().splitlines()[0].replace("/d/a b", "/d/ab"))
    assert words[:3] == ["--kill-on-bad-exit=0", "--wait=120", "gymjax"]  # who has left must not end those that save
    taken = parses(words[3:])
    assert (taken["data"], taken["root"], taken["resume"]) == ("/d/ab", "/runs", "auto")
    settings = load_config([], [word for word in words[3:] if "=" in word and not word.startswith("-")]).train
    assert (settings.processes, settings.placement, settings.epochs) == ("auto", "shard", 3)
    assert subprocess.run(["bash", BATCH_SCRIPT], capture_output=True, check=False).returncode == 1


@pytest.mark.extras
@pytest.mark.skipif(shutil.which("slurmctld") is None, reason="needs Debian's slurmctld and slurm-client")
def test_slurm_takes_the_batch_script(tmp_path):
    """A controller of four nodes with GPUs, which are not there, says when it would start the script."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "state").mkdir()
    (tmp_path / "slurm.conf").write_text(
        SLURM.format(host=socket.gethostname().split(".")[0], port=port, place=tmp_path, user=getpass.getuser())
    )
    environment = {**os.environ, "SLURM_CONF": str(tmp_path / "slurm.conf")}

    def asked(*more):
        command = ["sbatch", "--test-only", *more, BATCH_SCRIPT, "/data", "/runs"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    controller = subprocess.Popen(["slurmctld", "-D", "-c"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        for line in controller.stderr:
            if "Running as primary controller" in line:
                break
        found = asked()
        assert found.returncode == 0, found.stderr
        assert re.search(r"using 128 processors on nodes node\[1-4\]", found.stderr)
        assert asked("--nodes=9").returncode != 0
    finally:
        controller.terminate()
        controller.communicate(timeout=30)


SLURM = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={place}/state
SlurmctldPidFile={place}/pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=30
NodeName=node[1-4] NodeAddr=127.0.0.1 CPUs=64 RealMemory=256000 Gres=gpu:8 State=CLOUD
PartitionName=main Nodes=ALL Default=YES State=UP
"""


@pytest.mark.extras
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_the_schema_of_kubernetes_takes_every_manifest(document):
    import kubernetes_validate

    document = job_of(document) if document["kind"] == "JobSet" else document
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    wrong = document | {"spec": document["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)
