"""Our own app with two customers: their jobs on a real PostgreSQL over TLS, and nothing of one for the other."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from devtools import postgresql, spark
from devtools.attempts import try_each
from devtools.customer_readers import Readers
from devtools.customers import TABLES
from devtools.deployed_customers import Deployed, Source, failures, isolation, job, summary, topic_of_failures
from devtools.postgresql import Postgresql
from devtools.stage import NotRunError, Section, Stage

NAMES = ("acme", "globex")
SUBJECTS = 2000
"""Of each customer: about 108 rows each, so more than 200,000."""

_RULES = "clinical-trials"
# No interface is made here: the jobs run on this machine.
_NETWORK = {
    "subnetId": "subnet-0123456789abcdef0",
    "availabilityZone": "eu-central-1a",
    "securityGroupIds": ["sg-0123456789abcdef0"],
}


def show(
    stage: Stage,
    *,
    subjects: int = SUBJECTS,
    rules: Path = spark.EXAMPLE_RULES,
    tables: Sequence[Mapping[str, object]] = TABLES,
) -> Iterator[Section]:
    """Deploy two customers, run the job of each, let one fail, read what they wrote, and try what is the other's.

    Raises:
        NotRunError: If Spark or PostgreSQL can't be had on this machine.
    """
    if lacking := spark.missing() or postgresql.missing():
        raise NotRunError(lacking)
    stage.directory.mkdir(exist_ok=True)
    with Postgresql() as server:
        with stage.step("fill two PostgreSQL databases"):
            sources = [
                Source.make(stage.aws, server, name, subjects=subjects, seed=seed)
                for seed, name in enumerate(NAMES, start=1)
            ]
        readers = Readers.make(stage.aws, NAMES)
        file = stage.directory / "customers.json"
        file.write_text(json.dumps(_customers(sources, readers, server.certificate, tables)))
        context = {
            "encrypted-data:customers": str(file),
            "encrypted-data:customerNetwork": json.dumps(_NETWORK),
            "encrypted-data:customerRules": json.dumps({_RULES: str(rules)}),
            "encrypted-data:customerAdministrators": json.dumps([readers.administrator_arn]),
        }
        options = [f"--context={name}={value}" for name, value in context.items()]
        assembly = stage.synth(shlex.join([sys.executable, "app.py"]), *options)
        stage.bootstrap(assembly)
        stage.deploy(assembly)
        again = list(try_each([stage.deploy_again(assembly)]))
        readers.attach()
        deployed = [Deployed.find(stage.aws, source) for source in sources]
        inbox = topic_of_failures(stage.aws)
        for each in deployed:
            started = time.monotonic()
            with stage.step(f"run the job of {each.source.name}"):
                results = list(try_each(job(each, stage.directory / each.source.name)))
            if results[0].kept:
                stage.console.print(summary(each, started=started))
            yield Section(title=f"{each.source.name}: the job and what it wrote", results=results)
        with stage.step(f"let a run of {deployed[0].source.name} fail"):
            results = list(try_each(failures(deployed[0], inbox, stage.directory / "fails")))
        yield Section(title="Who is told of runs that fail", results=results)
    for each in deployed:
        results = list(try_each(readers.attempts(each)))
        yield Section(title=f"Who reads what the job of {each.source.name} wrote", results=results)
    for one, other in (deployed, deployed[::-1]):
        results = list(try_each(isolation(one, other)))
        yield Section(title=f"{one.source.name}, at what is {other.source.name}'s", results=results)
    yield Section(title="The app", results=again)


def _customers(
    sources: list[Source], readers: Readers, certificate: str, tables: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Return what the file of customers says."""
    customers = [
        {
            "name": each.name,
            "secret_arn": each.secret_arn,
            "jdbc_url": each.jdbc_url,
            "readers": [readers.arn(each.name)],
        }
        for each in sources
    ]
    same = {"ca_certificate": certificate, "rules": _RULES, "tables": list(tables)}
    return {"defaults": same, "customers": customers}
