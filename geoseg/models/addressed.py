"""Models at addresses, ``https://…`` and ``s3://…``: brought here whole and kept, once a version.

The server is asked each time whether the file is still the same (`geoseg.raster.far.brought`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from geoseg.errors import GeosegError, InputError, ModelError, without_secrets
from geoseg.models.header import MOST_HEADER_BYTES, header_length, header_of
from geoseg.raster.far.brought import address_of, beside, bring

SUFFIXES = (".safetensors", ".onnx", ".pt", ".pth")
"""How files of models end, by which they are known without being read."""
_MOST_BYTES = 64 << 30
_MOST_CARD = 1 << 20


def is_model_address(path: str | Path) -> bool:
    """Tell whether `path` is an address at which a model must lie, by how its file ends."""
    text = str(path)
    if "://" not in text and not text.startswith("/vsi"):
        return False
    address = address_of(text)
    return address is not None and urlsplit(address).path.lower().endswith(SUFFIXES)


def public(path: str | Path) -> str:
    """Return how a model is called where others read it: an address without what it is signed with.

    Nothing of a path here is left out.
    """
    address = address_of(path)
    return str(path) if address is None else without_secrets(address)


@contextmanager
def here(path: str | Path) -> Iterator[Path]:
    """Give a model's file on this machine; errors name it as it was named.

    Parameters
    ----------
    path
        A file, which is given as it is, or an address. What describes a model of elsewhere
        (``NAME.toml`` or ``NAME.json``) is brought with it.

    Raises
    ------
    ModelError
        There is none at the address, or it cannot be had.
    OutputError
        There is no room for it.
    GeosegError
        As from within the context.
    """
    address = address_of(path)
    if address is None:
        yield Path(path)
        return
    file = _brought(address)
    try:
        yield file
    except GeosegError as error:
        named = without_secrets(address)
        folder, said = named.rpartition("/")[0], str(error)
        said = said.replace(str(file), named).replace(str(file.parent), folder)
        error.args = (said,)
        raise


def _brought(address: str) -> Path:
    suffix = Path(urlsplit(address).path).suffix.lower()
    if suffix in (".pt", ".pth", ".onnx"):
        look = _looks_foreign(address, pickled=suffix != ".onnx")
    else:
        look = _looks_whole(address)
    file = bring(address, look=look, error=ModelError, most=_MOST_BYTES)
    if suffix in SUFFIXES and not _has_card(file):
        for ending in (".toml", ".json"):
            content = _read_beside(address, ending)
            if content is not None:
                return beside(file, content, file.with_suffix(ending).name)
    return file


def _looks_whole(address: str) -> Callable[[bytes, int | None], int]:
    """Return what looks at the head of a safetensors file before its numbers are fetched."""

    def look(head: bytes, size: int | None) -> int:
        length = header_length(head[:16], MOST_HEADER_BYTES + 8 if size is None else size, address)
        if len(head) < length + 8:
            return length + 8
        if size is not None:
            header_of(head[8 : length + 8], size, address)
        return 0

    return look


def _looks_foreign(address: str, *, pickled: bool) -> Callable[[bytes, int | None], int]:
    def look(head: bytes, _size: int | None) -> int:
        if not head or (pickled and not head.startswith((b"PK", b"\x80"))):
            raise ModelError(f"{address} is no file of weights that torch wrote")
        return 0

    return look


def _has_card(file: Path) -> bool:
    """Tell whether a file says itself what it is for."""
    if file.suffix.lower() == ".safetensors":
        with file.open("rb") as stream:
            length = header_length(stream.read(16), file.stat().st_size, file)
            stream.seek(8)
            return b'"geoseg"' in stream.read(length)
    if file.suffix.lower() == ".onnx":
        with file.open("rb") as stream:
            # Metadata are the last of what is written.
            stream.seek(max(0, file.stat().st_size - _MOST_CARD))
            return b"geoseg_input" in stream.read()
    return False


def _read_beside(address: str, ending: str) -> bytes | None:
    """Return a small file beside an address; None where there is none, or none to be had."""
    parts = urlsplit(address)
    place = urlunsplit(parts._replace(path=f"{parts.path.rpartition('.')[0]}{ending}"))
    with suppress(InputError):
        return bring(place, look=lambda *_: 0, error=InputError, most=_MOST_CARD).read_bytes()
    return None
