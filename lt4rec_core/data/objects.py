"""The objects of an S3 bucket: read, written, written only if nobody else did, listed, removed.

Address, region and credentials come from the environment, under the names that delta-rs has:
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``,
``AWS_ALLOW_HTTP``, ``AWS_VIRTUAL_HOSTED_STYLE_REQUEST``. Three libraries read the same bucket with them:
obstore does what is here, delta-rs the tables' logs, and Arrow's own file system the Parquet files.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.fs as pafs

from lt4rec_core.data.duck import printable
from lt4rec_core.errors import StoreError

if TYPE_CHECKING:
    from obstore.store import S3Store

GUIDE = "docs/OBJECT_STORAGE.md"
DELTA_OPTIONS: Mapping[str, str] = {"aws_conditional_put": "etag"}
"""A commit is an object that must not be there yet; the store says so, and no lock table is needed."""

FIRST_CONTACT = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
"""An address that is wrong is told at once; afterwards a store that stumbles is waited for."""


class Found(NamedTuple):
    """One object of a listing."""

    key: str
    size: int
    modified: datetime
    e_tag: str


REFUSALS = ("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch")


@lru_cache(maxsize=8)
def _store(bucket: str) -> "S3Store":
    """A client of a bucket, once the bucket has answered."""
    import obstore

    with saying(f"s3://{bucket}"):
        obstore.list_with_delimiter(_client(bucket, FIRST_CONTACT), "lt4rec-is-anybody-there/")
    return _client(bucket, {})


def _client(bucket: str, retry: Mapping[str, object]) -> "S3Store":
    from obstore.store import S3Store

    return S3Store(
        bucket,
        config={"conditional_put": "etag"},
        client_options={"allow_http": is_set("AWS_ALLOW_HTTP"), "connect_timeout": "5s", "timeout": "120s"},
        retry_config=retry,  # type: ignore[arg-type]
    )


def is_set(name: str) -> bool:
    """Whether a switch of the environment is on."""
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


@contextmanager
def saying(what: str) -> Iterator[None]:
    """Say which object it was about, and where to look, in the place of the client's pages.

    Raises:
        FileNotFoundError: there is no such object.
        StoreError: anything else that the store or the way to it refused.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StoreError(f"{_reason(what, error)} ({GUIDE}).") from None
        raise FileNotFoundError(f"there is no object {what}") from None
    except BaseError as error:
        raise StoreError(f"{_reason(what, error)} ({GUIDE}).") from error


def _reason(what: str, error: BaseException) -> str:
    said = " ".join(str(error).partition("\n\nDebug source")[0].split())
    code = said.partition("<Code>")[2].partition("<")[0]
    short = printable(code or said).rstrip(". ")
    keys = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if code == "NoSuchBucket":
        return f"there is no bucket for {what} at {_endpoint()}. Make it first, or correct LT4REC_HOME"
    if "builder error" in said:
        return f"{_endpoint()} is no https:// address, and AWS_ALLOW_HTTP is not true. Correct one of them"
    if "169.254." in said:  # where Amazon's machines would ask for theirs
        return f"there are no credentials for {what}: {short}. Set {keys}"
    if code in REFUSALS or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        return f"the store at {_endpoint()} refuses these credentials for {what}: {short}. Correct {keys}"
    if not code and "error sending request" in said:
        return f"the store of {what} cannot be reached at {_endpoint()}: {short}. Correct AWS_ENDPOINT_URL"
    region = os.environ.get("AWS_REGION") or "not set"
    return (
        f"the store at {_endpoint()} does not do what was asked of it for {what}: {short}. "
        f"AWS_REGION is {region}; see what these credentials are allowed"
    )


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL") or "Amazon's own address (AWS_ENDPOINT_URL is not set)"


def read(bucket: str, key: str) -> tuple[bytes, str]:
    """An object and its entity tag.

    Raises:
        FileNotFoundError, StoreError: as ``saying``.
    """
    import obstore

    with saying(f"s3://{bucket}/{key}"):
        found = obstore.get(_store(bucket), key)
        return bytes(found.bytes()), str(found.meta["e_tag"])


def write(bucket: str, key: str, data: bytes | Path) -> None:
    """Put an object in the place of whatever is there; it appears whole, or not at all.

    Args:
        bucket: its name.
        key: the object's.
        data: the bytes, or a local file, sent in parts where it is large.

    Raises:
        StoreError: as ``saying``.
    """
    import obstore

    with saying(f"s3://{bucket}/{key}"):
        obstore.put(_store(bucket), key, data)


def write_new(bucket: str, key: str, data: bytes) -> bool:
    """Put an object that must not be there yet; False where it is, whoever put it.

    Raises:
        StoreError: as ``saying``.
    """
    return write_over(bucket, key, data, None)


def write_over(bucket: str, key: str, data: bytes, e_tag: str | None) -> bool:
    """Put an object in the place of that very one; False where another stands there by now.

    Args:
        bucket: its name.
        key: the object's.
        data: the bytes.
        e_tag: of the object that is to be replaced; None: there must be none.

    Raises:
        StoreError: as ``saying``.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    with saying(f"s3://{bucket}/{key}"):
        try:
            obstore.put(_store(bucket), key, data, mode="create" if e_tag is None else {"e_tag": e_tag})
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return False
        return True


def look(bucket: str, key: str) -> Found | None:
    """What there is of an object, without reading it; None where there is none.

    Raises:
        StoreError: as ``saying``.
    """
    import obstore

    with saying(f"s3://{bucket}/{key}"):
        try:
            return _found(obstore.head(_store(bucket), key))
        except (
            FileNotFoundError
        ):  # a HEAD's answer has no body: which of bucket and object is gone, it cannot say
            return None


def remove(bucket: str, key: str) -> None:
    """Remove an object; one that is not there is no error.

    Raises:
        StoreError: as ``saying``.
    """
    import obstore

    with saying(f"s3://{bucket}/{key}"):
        try:
            obstore.delete(_store(bucket), key)
        except FileNotFoundError:
            return


def below(bucket: str, prefix: str) -> Iterator[Found]:
    """Every object under a prefix, a thousand a request.

    Raises:
        StoreError: as ``saying``.
    """
    import obstore

    with saying(f"s3://{bucket}/{prefix}"):
        for page in obstore.list(_store(bucket), _inside(prefix)):
            yield from map(_found, page)


def folders(bucket: str, prefix: str) -> list[str]:
    """The names that stand before the next slash under a prefix, in one request.

    Raises:
        StoreError: as ``saying``.
    """
    import obstore

    with saying(f"s3://{bucket}/{prefix}"):
        found = obstore.list_with_delimiter(_store(bucket), _inside(prefix))
    return sorted(each.rstrip("/").rpartition("/")[2] for each in found["common_prefixes"])


def _inside(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""


def _found(meta: Mapping[str, object]) -> Found:
    return Found(str(meta["path"]), int(str(meta["size"])), meta["last_modified"], str(meta["e_tag"]))  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def file_system() -> pafs.FileSystem:
    """Arrow's own file system, for Parquet files: their columns and row groups are read by range."""
    env = os.environ
    scheme, _, address = (env.get("AWS_ENDPOINT_URL") or "").rpartition("://")
    return pafs.S3FileSystem(
        access_key=env.get("AWS_ACCESS_KEY_ID"),
        secret_key=env.get("AWS_SECRET_ACCESS_KEY"),
        session_token=env.get("AWS_SESSION_TOKEN"),
        region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
        scheme=scheme or "https",
        endpoint_override=address.rstrip("/") or None,
        force_virtual_addressing=is_set("AWS_VIRTUAL_HOSTED_STYLE_REQUEST"),
        connect_timeout=10,
        request_timeout=120,
    )


def forget() -> None:
    """Begin anew with what the environment says now."""
    for known in (_store, file_system, require_conditional_writes):
        known.cache_clear()


PROBE = "_lt4rec_store_can_be_shared"
TOLD = b"An object that lt4rec tries to create a second time: a store that lets it happen is refused.\n"


@lru_cache(maxsize=8)
def require_conditional_writes(bucket: str, prefix: str) -> None:
    """Refuse a store where two writers can both believe they were first; asked once per process.

    Raises:
        StoreError: the store overwrites what it was told must not be there, or be another; or as ``saying``.
    """
    key = f"{prefix}/{PROBE}".lstrip("/")
    is_made = write_new(bucket, key, TOLD)
    refusals = {
        "If-None-Match": is_made and write_new(bucket, key, TOLD),
        "If-Match": write_over(bucket, key, TOLD, '"0123456789abcdef0123456789abcdef"'),
    }
    ignored = [name for name, was_written in refusals.items() if was_written]
    if ignored:
        remove(bucket, key)
        raise StoreError(
            f"the store of s3://{bucket}/{prefix} has no conditional writes: it overwrote an object despite "
            f"{' and '.join(ignored)}. Two runs would take each other's days for their own, so nothing was "
            f"created. Use a store that has them, or a local folder ({GUIDE})."
        )
