"""The job of one customer, as it runs in AWS Glue: from their database to Parquet files encrypted under their key.

It imports neither the library nor the CDK. Nothing is imported here: the linter of rules runs where Spark isn't.
"""
