"""An AWS on loopback for the demo and the tests: ``from devtools.embedded_aws.server import EmbeddedAws``.

This file stays empty: the adapter runs in a virtual environment that lacks what ``server`` imports.
"""
