"""Objects encrypted in the application under a multi-Region key, for applications that know nothing of the CDK."""

from cdk_encrypted_data_client.errors import (
    EncryptedDataError,
    MovedObjectError,
    NotAuthenticError,
    NotEncryptedError,
    ObjectNotFoundError,
    OtherSealError,
    OutcomeUnknownError,
    RefusedError,
    SettingsError,
    TamperedError,
    UnavailableError,
    WrongPurposeError,
)
from cdk_encrypted_data_client.locations import Location
from cdk_encrypted_data_client.objects import EncryptedObjects, Listed, Reader, Retrieved, StoredObject

__all__ = [
    "EncryptedDataError",
    "EncryptedObjects",
    "Listed",
    "Location",
    "MovedObjectError",
    "NotAuthenticError",
    "NotEncryptedError",
    "ObjectNotFoundError",
    "OtherSealError",
    "OutcomeUnknownError",
    "Reader",
    "RefusedError",
    "Retrieved",
    "SettingsError",
    "StoredObject",
    "TamperedError",
    "UnavailableError",
    "WrongPurposeError",
]
