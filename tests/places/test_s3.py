"""Inputs and results in S3, with a server on this machine. Run by `make test-s3`, in an environment of its own."""

import hashlib
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")
pytest.importorskip("snakemake_storage_plugin_s3")

from calflow.simulation import Scene  # noqa: E402
from tests.workflow.conftest import FIELD, ROOT, SCENE, Workflow, combining, simulate  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PREFIX = "s3://bucket/program"


@pytest.fixture
def server(monkeypatch):
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    _host, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def client(server):
    client = boto3.client("s3", endpoint_url=server)
    client.create_bucket(Bucket="bucket")
    return client


@pytest.fixture
def field(tmp_path):
    simulate(tmp_path / "local" / "data", SCENE)
    return Workflow(tmp_path / "local")


def options(server, prefix=PREFIX):
    given = {"default-storage-provider": "s3", "default-storage-prefix": prefix, "storage-s3-endpoint-url": server}
    return [word for name, value in given.items() for word in (f"--{name}", value)] + ["--keep-storage-local-copies"]


def upload(client, field):
    for path in sorted((field.folder / "data").rglob("*")):
        if path.is_file():
            client.upload_file(str(path), "bucket", f"program/{path.relative_to(field.folder)}")


def digests(client, stage="stage2"):
    listed = client.list_objects_v2(Bucket="bucket", Prefix=f"program/results/{stage}/")["Contents"]
    bodies = {item["Key"]: client.get_object(Bucket="bucket", Key=item["Key"])["Body"].read() for item in listed}
    return {Path(key).name: hashlib.sha256(body).hexdigest() for key, body in bodies.items() if key.endswith(".fits")}


def test_same_bytes_as_local_then_nothing_to_do_then_what_hangs_on_a_changed_object(server, client, field, tmp_path):
    upload(client, field)
    (tmp_path / "work").mkdir()
    remote = Workflow(tmp_path / "work")
    run = remote.run(options=options(server))
    assert run.code == 0, run.output
    local = field.run()
    assert local.code == 0, local.output
    assert run.rules == local.rules == {"calibrate": 2, "combine_background": 1, "resample_exposure": 2}
    products = (field.folder / "results" / "stage2").rglob("*.fits")
    made = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in products}
    assert digests(client) == made
    again = remote.run(options=options(server))
    assert again.code == 0, again.output
    assert "Nothing to be done" in again.output
    science = min((field.folder / "data" / "rate").glob("*_rate.fits"))
    time.sleep(1.1)  # S3 knows whole seconds
    client.upload_file(str(science), "bucket", f"program/data/rate/{science.name}")  # touched, as a local file
    changed = remote.run(options=options(server))
    assert changed.code == 0, changed.output
    assert changed.rules == {"calibrate": 1, "resample_exposure": 1}


def test_stage3_and_the_plan(server, client, tmp_path):
    simulate(tmp_path / "local" / "data", Scene(**FIELD))
    field = combining(tmp_path / "local")
    upload(client, field)
    (tmp_path / "work").mkdir()
    remote = combining(tmp_path / "work")
    plan = remote.run("plan", options=options(server))
    assert plan.code == 0, plan.output
    assert "Plan of all: 27 jobs, 0 of 15 products up to date" in plan.output
    run = remote.run(options=options(server))
    assert run.code == 0, run.output
    local = field.run()
    assert local.code == 0, local.output
    assert run.rules == local.rules
    products = [path for path in (field.folder / "results" / "stage3").rglob("*.fits") if path.name[0] != "."]
    assert digests(client, "stage3") == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in products}
    assert "nothing to be done" in remote.run("plan", options=options(server)).output


def test_objects_are_listed_once_and_not_asked_for(server, client, field, tmp_path):
    """One by one, each of the 30 files of this graph that are not there takes three requests."""
    upload(client, field)
    (tmp_path / "work").mkdir()
    requests = []
    noting = logging.Handler()
    noting.emit = lambda record: requests.append(record.getMessage())
    logging.getLogger("werkzeug").addHandler(noting)
    try:
        run = Workflow(tmp_path / "work").run(dry=True, options=options(server))
    finally:
        logging.getLogger("werkzeug").removeHandler(noting)
    assert run.code == 0, run.output
    listed = [request for request in requests if "list-type=2" in request]
    assert len(listed) == 2  # for the stand-ins, and for the graph
    assert not [request for request in requests if "HEAD" in request], requests


def test_bucket_that_is_not_there_is_told_before_any_job(server, tmp_path):
    run = Workflow(tmp_path).run(options=options(server, "s3://nowhere/program"))
    assert run.code == 1
    assert not run.jobs
    assert "s3://nowhere/program/: cannot be read" in run.output, run.output


def test_stand_ins_are_never_taken_for_data(server, client, field, tmp_path):
    upload(client, field)
    (tmp_path / "work").mkdir()
    remote = Workflow(tmp_path / "work")
    assert remote.run(dry=True, options=options(server)).code == 0
    local = remote.run(dry=True)
    assert local.code == 1
    assert "stand-ins for objects in S3" in local.output


def test_dry_run_with_the_profile_of_kubernetes(server, client, field, tmp_path):
    pytest.importorskip("snakemake_executor_plugin_kubernetes")
    upload(client, field)
    (tmp_path / "work").mkdir()
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(field.config))
    keys = {f"SNAKEMAKE_STORAGE_S3_{name}_KEY": "test" for name in ("ACCESS", "SECRET")}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n"]
    command += ["--configfile", str(tmp_path / "my.yaml"), "--profile", str(ROOT / "profiles" / "kubernetes")]
    done = subprocess.run(
        [*command, *options(server)],
        cwd=tmp_path / "work",
        env=os.environ | keys,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))
    assert counts["calibrate"] == counts["resample_exposure"] == "2"
