"""Our own app with buckets in two Regions: replication, applications that encrypt, an outage, the key's promotion."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator

from devtools.attempts import try_each
from devtools.promises_in_regions import Deployed, client_side_encryption, monitoring, promotion, replication
from devtools.stage import Section, Stage
from stacks.settings import REPLICATED_BUCKETS

NAME = "Orders"
REGIONS = ("eu-central-1", "eu-west-1")


def show(stage: Stage) -> Iterator[Section]:
    """Deploy both Regions at once and try every promise."""
    wanted = json.dumps([{"name": NAME, "regions": REGIONS}])
    assembly = stage.synth(shlex.join([sys.executable, "app.py"]), f"--context={REPLICATED_BUCKETS}={wanted}")
    stage.bootstrap(assembly)
    stage.deploy(assembly)
    again = list(try_each([stage.deploy_again(assembly)]))
    deployed = Deployed(stage.aws, NAME, REGIONS)
    with stage.step(f"try the promises of {NAME}"):
        replicated = list(try_each(replication(deployed)))
    yield Section(title=f"{NAME}: a bucket in each of {' and '.join(REGIONS)}, which replicate", results=replicated)
    with stage.step("let a replica fail, set alarms off"):
        told = list(try_each(monitoring(deployed)))
    yield Section(title=f"{NAME}: who has subscribed is told what isn't replicated", results=told)
    with stage.step("encrypt in applications, shut Regions off"):
        encrypted = list(try_each(client_side_encryption(deployed)))
    yield Section(title=f"{NAME}: encrypted in applications under a key of both Regions", results=encrypted)
    # Its deployments are steps of their own.
    moved = list(try_each(promotion(deployed, lambda when: stage.deploy_again(assembly, when=when))))
    yield Section(title="The app and its key", results=[*again, *moved])
