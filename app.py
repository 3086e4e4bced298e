"""The app that `cdk synth` and `cdk deploy` run: the only place that looks at the outside world."""

from __future__ import annotations

import os
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks

from cdk_encrypted_data import EncryptionProofs, FleetQuotas
from stacks.cells import CELLS, Cell, cells_from
from stacks.customers import CUSTOMERS, CustomersSettings, customer_stacks
from stacks.customers import NAMES as NAMES_OF_CUSTOMERS
from stacks.encrypted_data import EncryptedDataStack
from stacks.replicated_data import ReplicatedData
from stacks.settings import NAMES, Settings, check_names

app = cdk.App()
# Account and Region are set by the CDK CLI from the credentials it is run with; without them the template of the first
# stack fits any environment.
context = app.node.get_all_context()
check_names(context, known=NAMES | NAMES_OF_CUSTOMERS | {CELLS})
settings = Settings.from_context(context, account=os.environ.get("CDK_DEFAULT_ACCOUNT"))
EncryptedDataStack(
    app,
    "EncryptedData",
    settings=settings,
    env=cdk.Environment(account=settings.account, region=os.environ.get("CDK_DEFAULT_REGION")),
)
for replicated in settings.replicated_buckets:
    ReplicatedData(app, settings=replicated, removal_policy=settings.removal_policy)
removal_policy = cdk.RemovalPolicy[settings.removal_policy.name]
file = context.get(CUSTOMERS)
customer_stacks(
    app,
    CustomersSettings.from_context(context, text=Path(file).read_text() if file else None),
    removal_policy=removal_policy,
    env=cdk.Environment(account=settings.account, region=os.environ.get("CDK_DEFAULT_REGION")),
)
# A fleet names its accounts itself: each cell is a stage, deployed by `cdk deploy "CELL/*"`.
if file := context.get(CELLS):
    place = Path(file)
    for cell in cells_from(place.read_text(), read=lambda name: (place.parent / name).read_text()):
        Cell(app, settings=cell, removal_policy=removal_policy)
for pack in (AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks):
    cdk.Validations.of(app).add_plugins(pack(app))
# The packs look for patterns; this one decides what the policies mean together.
cdk.Validations.of(app).add_plugins(EncryptionProofs())
cdk.Validations.of(app).add_plugins(FleetQuotas())
app.synth()
