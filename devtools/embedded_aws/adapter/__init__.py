"""The patches laid over MiniStack, run in its own virtual environment by ``devtools.embedded_aws.server``."""
