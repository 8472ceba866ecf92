"""Named tensors and one text in a safetensors file, written whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from geoseg.errors import ModelError, OutputError
from geoseg.models.card import METADATA_KEY
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error

_NONE: Mapping[Path, str | bytes] = MappingProxyType({})


def write_tensors(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    text: str,
    *,
    sidecars: Mapping[Path, str | bytes] = _NONE,
    overwrite: bool = True,
) -> None:
    """Write tensors and a text, whole or not at all.

    The bytes depend on nothing but the tensors and the text.

    Parameters
    ----------
    path
        What to write.
    tensors
        By name, on any device and in any layout.
    text
        Kept in the header's metadata.
    sidecars
        Texts or bytes that belong to the file, by path; they appear just before it does.
    overwrite
        Whether it may replace a file that appeared meanwhile.

    Raises
    ------
    OutputError
        The file cannot be written; then what was there is untouched.
    """
    path = Path(path)
    held: dict[str, Tensor] = {}
    places: set[int] = set()
    for key, tensor in tensors.items():
        dense = tensor.detach().cpu().contiguous()
        # The library stores no memory under two names.
        held[key] = dense.clone() if dense.data_ptr() in places else dense
        places.add(dense.data_ptr())
    with TemporaryFolder(path) as folder:
        folder.need_space(sum(tensor.nbytes for tensor in held.values()))
        made = folder.path / path.name
        try:
            # One key only: the library writes the metadata's keys in no fixed order.
            safetensors.torch.save_file(held, made, {METADATA_KEY: text})
            # The library lets nobody else read its files; ours are as readable as any other.
            ordinary = folder.path / "ordinary"
            ordinary.touch()
            made.chmod(ordinary.stat().st_mode)
        except OSError as error:
            raise output_error(error, path) from error
        except SafetensorError as error:
            reason = str(error).splitlines()[0]
            # The library keeps the system's number in its words alone.
            if number := re.search(r"\(os error (\d+)\)", reason):
                raise output_error(OSError(int(number[1]), reason), path) from error
            raise OutputError(f"{path} cannot be written: {reason}") from error
        folder.publish(made, sidecars, overwrite=overwrite)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read all tensors of a file whose header has been looked at (`geoseg.models.card`).

    Raises
    ------
    ModelError
        The file is damaged.
    """
    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
