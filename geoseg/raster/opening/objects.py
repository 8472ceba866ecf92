"""Object storage: what is there under an address, and files put there. The only import of obstore.

Addresses are ``s3://bucket/key``, ``gs://bucket/key`` and ``az://container/key``. Credentials are
found as by the tools of AWS, Google and Azure: in the environment, or given to the machine.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from geoseg.errors import OptionError, OutputError, RasterReadError
from geoseg.raster.opening import remote

_ADDRESS = re.compile(r"(s3|gs|az)://([^/]+)(?:/+(.*))?", re.IGNORECASE)
_MAGIC = re.compile(r"[*?[]")
_PART = 16 << 20
"""Bytes of a part of a file that is put, at most 10,000 of them in S3."""


def is_object(path: str) -> bool:
    """Tell whether `path` is an address in object storage."""
    return _ADDRESS.fullmatch(path) is not None


def is_pattern(path: str) -> bool:
    """Tell whether `path` is a pattern or a folder in object storage."""
    key = key_of(path)
    return is_object(path) and (not key or key.endswith("/") or bool(_MAGIC.search(key)))


def listed(path: str) -> list[str]:
    """List what lies in a folder (``s3://bucket/folder/``) or what a pattern matches, by name.

    Parameters
    ----------
    path
        A folder's own objects are listed, not those of folders in it; in a pattern, ``*`` stays
        within a folder and ``**`` does not.

    Raises
    ------
    RasterReadError
        It cannot be listed.
    OptionError
        What speaks to object storage is not installed.
    """
    scheme, bucket, key = _split(path)
    import obstore  # noqa: PLC0415 — an extra

    pattern = key if _MAGIC.search(key) else f"{key}*"
    fixed = _MAGIC.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    wanted = re.compile(_expression(pattern))
    found: list[str] = []
    try:
        for batch in obstore.list(_store(scheme, bucket), prefix=fixed or None):
            found += [one["path"] for one in batch if wanted.fullmatch(one["path"])]
    except Exception as error:
        raise RasterReadError(f"{path}: cannot be listed ({_words(error)}); {_ADVICE}") from error
    return [f"{scheme}://{bucket}/{name}" for name in sorted(found)]


def _expression(pattern: str) -> str:
    """Turn a pattern into a regular expression; ``*`` and ``?`` stop at slashes."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(
        words.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts
    )


def there(address: str) -> bool:
    """Tell whether an object is there, or any in a folder (an address that ends in a slash).

    Raises
    ------
    OutputError
        The storage cannot be asked.
    """
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    if not key.endswith("/"):
        return size(address) is not None
    try:
        return any(len(batch) for batch in obstore.list(_store(scheme, bucket), prefix=key))
    except Exception as error:
        raise OutputError(f"{address}: cannot be reached ({_words(error)}); {_ADVICE}") from error


def size(address: str) -> int | None:
    """Return how many bytes an object has; None if there is none.

    Raises
    ------
    OutputError
        The storage cannot be asked.
    """
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    try:
        return int(obstore.head(_store(scheme, bucket), key)["size"])
    except FileNotFoundError:
        _need_bucket(address)
        return None
    except Exception as error:
        raise OutputError(f"{address}: cannot be reached ({_words(error)}); {_ADVICE}") from error


def _need_bucket(address: str) -> None:
    """Refuse where there is no such bucket: of an object that is not there nobody says why."""
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    try:
        next(iter(obstore.list(_store(scheme, bucket), prefix=key)), None)
    except Exception as error:
        if "NoSuchBucket" in str(error):  # who may not list may still write
            raise OutputError(
                f"{address}: there is no bucket {bucket}; check the address"
            ) from error


def get(address: str, *, most: int) -> bytes | None:
    """Read a small object; None where there is none, or it is larger than `most` bytes.

    Raises
    ------
    RasterReadError
        It cannot be read.
    """
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    try:
        found = obstore.get(_store(scheme, bucket), key)
        return None if found.meta["size"] > most else bytes(found.bytes())
    except FileNotFoundError:
        return None
    except Exception as error:
        raise RasterReadError(f"{address}: cannot be read ({_words(error)}); {_ADVICE}") from error


def found(address: str) -> dict[str, Any] | None:
    """Return by what an object is known to be the same, with its ``size``; None if there is none.

    Raises
    ------
    RasterReadError
        It cannot be asked for.
    """
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    try:
        head = obstore.head(_store(scheme, bucket), key)
    except FileNotFoundError:
        return None
    except Exception as error:
        raise RasterReadError(f"{address}: cannot be read ({_words(error)}); {_ADVICE}") from error
    return {
        "size": int(head["size"]),
        "etag": head["e_tag"],
        "version": head["version"],
        "changed": str(head["last_modified"]),
    }


def stream(address: str, start: int, etag: str | None) -> Iterator[bytes]:
    """Give an object's bytes from the one with a number on.

    Parameters
    ----------
    address
        The object.
    start
        Bytes that are left out at its beginning.
    etag
        It must still be the one of this mark.

    Raises
    ------
    RasterReadError
        It cannot be read, or not to its end.
    """
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    options: Any = {} if etag is None else {"if_match": etag}
    if start:
        options["range"] = {"offset": start}
    try:
        for chunk in obstore.get(_store(scheme, bucket), key, options=options).stream():
            yield bytes(chunk)
    except Exception as error:
        raise RasterReadError(f"{address}: cannot be read ({_words(error)}); {_ADVICE}") from error


def sizes(folder: str) -> dict[str, dict[str, Any]]:
    """Return what lies in a folder and in those in it: by name, with `found`'s marks.

    Raises
    ------
    RasterReadError
        It cannot be listed.
    """
    scheme, bucket, key = _split(folder)
    import obstore  # noqa: PLC0415 — an extra

    inside = f"{key.rstrip('/')}/" if key.strip("/") else ""
    held: dict[str, dict[str, Any]] = {}
    try:
        for batch in obstore.list(_store(scheme, bucket), prefix=inside or None):
            for one in batch:
                held[one["path"].removeprefix(inside)] = {
                    "size": int(one["size"]),
                    "etag": one["e_tag"],
                    "changed": str(one["last_modified"]),
                }
    except Exception as error:
        raise RasterReadError(f"{folder}: cannot be listed ({_words(error)}); {_ADVICE}") from error
    return held


def put(file: Path, address: str) -> None:
    """Put a file under an address: all of it or nothing, large ones in parts.

    Raises
    ------
    OutputError
        It cannot be put there.
    """
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    try:
        store = _store(scheme, bucket)
        obstore.put(store, key, file, chunk_size=max(_PART, file.stat().st_size // 9000))
        held = obstore.head(store, key)["size"]
    except Exception as error:
        raise OutputError(f"{address}: cannot be written ({_words(error)}); {_ADVICE}") from error
    if held != file.stat().st_size:
        raise OutputError(
            f"{address}: holds {held:,} bytes of {file.stat().st_size:,}; write it again"
        )


def remove(address: str) -> None:
    """Remove an object; no matter if there is none.

    Raises
    ------
    OutputError
        It cannot be removed.
    """
    scheme, bucket, key = _split(address)
    import obstore  # noqa: PLC0415 — an extra

    try:
        obstore.delete(_store(scheme, bucket), key)
    except FileNotFoundError:
        return
    except Exception as error:
        raise OutputError(f"{address}: cannot be removed ({_words(error)}); {_ADVICE}") from error


def key_of(address: str) -> str:
    """Return what an address says behind the bucket; nothing of one that is none of an object."""
    found = _ADDRESS.fullmatch(address)
    return "" if found is None else found[3] or ""


def need_objects(address: str) -> None:
    """Refuse in words where what speaks to object storage is not installed.

    Raises
    ------
    OptionError
        It is not.
    """
    try:
        import obstore  # noqa: F401, PLC0415 — an extra
    except ImportError:
        raise OptionError(
            f"{address}: lists and files in object storage need: pip install 'geoseg[cloud]'"
        ) from None


_ADVICE = "check the address, your rights and the credentials in the environment"


def _split(address: str) -> tuple[str, str, str]:
    need_objects(address)
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise OptionError(f"{address} is no address in object storage (s3://, gs:// or az://)")
    return found[1].lower(), found[2], found[3] or ""


def _words(error: Exception) -> str:
    """Return what a storage says, shortly."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    text = said[0]
    for code, words in (
        ("NoSuchBucket", "no such bucket"),
        ("AccessDenied", "access denied"),
        ("InvalidAccessKeyId", "the access key is not known"),
        ("SignatureDoesNotMatch", "the secret key is wrong"),
        ("403 Forbidden", "access denied"),
        ("169.254.169.254", "no credentials were found"),
        ("Connection refused", "the connection is refused"),
    ):
        if code in str(error):
            return words
    return text[:200]


@functools.lru_cache(maxsize=16)
def _made(scheme: str, bucket: str, how: tuple[tuple[str, Any], ...]) -> Any:
    from obstore.store import from_url  # noqa: PLC0415 — an extra

    given: dict[str, Any] = dict(how)
    waits = remote.pauses() or [1.0]
    options: dict[str, Any] = {"timeout": timedelta(minutes=10)}
    if given.pop("plain_http", False):
        options["allow_http"] = True
    make: Any = from_url  # each kind of storage has options of its own
    return make(
        f"{scheme}://{bucket}",
        client_options=options,
        retry_config={
            "max_retries": 2 * len(remote.pauses()),
            "retry_timeout": timedelta(minutes=3),
            "backoff": {
                "init_backoff": timedelta(seconds=waits[0]),
                "max_backoff": timedelta(seconds=20 * waits[0]),
                "base": 2,
            },
        },
        **given,
    )


def _store(scheme: str, bucket: str) -> Any:
    """Return the store of a bucket, told what GDAL is told by the environment."""
    given: dict[str, Any] = {}
    if scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        host = os.environ.get("AWS_S3_ENDPOINT")
        if not endpoint and host:
            secure = os.environ.get("AWS_HTTPS", "YES").upper() not in ("NO", "FALSE", "OFF", "0")
            endpoint = f"http{'s' * secure}://{host}"
        if endpoint:
            given["endpoint"] = endpoint
            given["plain_http"] = endpoint.startswith("http://")
        if os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "ON", "1"):
            given["skip_signature"] = True
    elif scheme == "az":
        endpoint = os.environ.get("AZURE_STORAGE_ENDPOINT", "")
        given["plain_http"] = endpoint.startswith("http://")
    return _made(scheme, bucket, tuple(sorted(given.items())))
