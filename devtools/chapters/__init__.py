"""The chapters of the demo. None imports the CDK: it starts a Node, which Ctrl-C would hit and which would complain."""
