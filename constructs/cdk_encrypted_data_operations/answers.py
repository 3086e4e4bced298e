"""What AWS's answers mean: a refusal, or no answer at all."""

from __future__ import annotations

from botocore import exceptions as boto

from cdk_encrypted_data_operations.errors import OperationsError, RefusedError, UnavailableError

_SERVER_ERROR = 500
_BUSY = {
    "DependencyTimeoutException",
    "KMSInternalException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_NO_ANSWER = (boto.HTTPClientError, boto.EndpointConnectionError)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


def code(error: BaseException) -> str:
    """Return the code of AWS's error, or "" when it is something else."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def denied(error: BaseException) -> bool:
    """Return whether somebody isn't allowed to."""
    return code(error) in _DENIED


def is_outage(error: BaseException) -> bool:
    """Return whether AWS failed to answer, so that asking again may help and what was asked may have been done."""
    if isinstance(error, boto.ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status >= _SERVER_ERROR or code(error) in _BUSY
    # A certificate that doesn't convince, or a proxy's refusal, is none: asking again doesn't help.
    return isinstance(error, _NO_ANSWER) and not isinstance(error, (boto.SSLError, boto.ProxyConnectionError))


def said(error: BaseException) -> str:
    """Return an error's kind and its words on one line."""
    words = error.response.get("Error", {}).get("Message", "") if isinstance(error, boto.ClientError) else str(error)
    return f"{code(error) or type(error).__name__}: {' '.join(words.split())}"


def explained(error: Exception, what: str, *, remedy: str) -> OperationsError:
    """Return the error of this package that says what AWS's means here.

    Args:
        error: What boto3 raised.
        what: What was tried, and where.
        remedy: What to do when AWS refused it.
    """
    if is_outage(error):
        return UnavailableError(f"{what}: {said(error)}; try again later, and see the AWS Health Dashboard")
    if isinstance(error, boto.NoCredentialsError):
        return RefusedError(f"{what}: no AWS credentials; configure them as for the AWS CLI")
    return RefusedError(f"{what}: {said(error)}; {remedy}")
