"""AWS CDK constructs for data encrypted under the customer's own KMS keys."""

__version__ = "0.1.0"
