"""An ONNX file as a network: it takes what any other one takes, and runs in onnxruntime."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ModelError
from geoseg.models.card import ModelCard
from geoseg.models.onnx.feeding import Feeding
from geoseg.models.onnx.reading import OnnxFile, library


class OnnxNetwork(nn.Module):
    """What an ONNX file computes, as a module without weights of torch's.

    On the processor every image runs on one thread, alone, as torch's tiles do: several run side by
    side, and their number changes no bit. On a card it runs there where onnxruntime can, else on
    all processors.

    Parameters
    ----------
    file
        Looked at by `geoseg.models.onnx.reading.read_onnx`.
    card
        Normalisation and classes.
    how
        What it is fed and answers.
    name
        How to call it in messages.
    """

    suffix = ".onnx"
    """How files of such networks end."""

    def __init__(self, file: OnnxFile, card: ModelCard, how: Feeding, *, name: str) -> None:
        super().__init__()
        self._file, self._card, self._how, self._name = file, card, how, name
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxNetwork:
        return self  # it has no weights that anybody could change

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_sessions")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised float32 (N, bands, H, W) to logits (N, classes, H, W).

        Raises
        ------
        ModelError
            The file does not take images of this size, or answers something else than its classes.
        """
        height, width = x.shape[-2:]
        fed = self._fed(self._continued(x.float()))
        session = self._session(x.device)
        alone = x.device.type == "cpu" or self._file.shape[0] == 1
        parts = [fed[i : i + 1] for i in range(len(fed))] if alone else [fed]
        found = np.concatenate([self._run(session, part) for part in parts])
        answers = torch.from_numpy(found).to(x.device, torch.float32)
        return self._logits(answers)[..., :height, :width]

    def _continued(self, x: Tensor) -> Tensor:
        """Continue an image by its edge to a size that the file takes."""
        sides = x.shape[-2:]
        wanted = [-(-side // self._how.multiple) * self._how.multiple for side in sides]
        wanted = [fixed or side for fixed, side in zip(self._file.shape[2:], wanted, strict=True)]
        if any(want < side for want, side in zip(wanted, sides, strict=True)):
            raise ModelError(
                f"{self._name} takes images of {wanted[1]} × {wanted[0]} px alone: say --tile"
                f" {min(wanted)}"
            )
        below, right = (want - side for want, side in zip(wanted, sides, strict=True))
        return functional.pad(x, (0, right, 0, below), mode="replicate") if below or right else x

    def _fed(self, x: Tensor) -> Tensor:
        """Bring normalised pixels to what the file takes."""
        if self._how.input == "normalised":
            return x
        mean, std = (self._bands(v, x) for v in (self._card.mean, self._card.std))
        x = x * std + mean
        if self._how.input == "uint8":
            low, high = (self._bands(v, x) for v in (self._how.low, self._how.high))
            x = (x - low) / (high - low)  # beyond bytes where readings are: the graph is linear
        return x

    @staticmethod
    def _bands(values: tuple[float, ...], x: Tensor) -> Tensor:
        return torch.tensor(values, dtype=x.dtype, device=x.device).reshape(-1, 1, 1)

    def _session(self, device: torch.device) -> Any:
        with self._lock:
            key = str(device)
            if key not in self._sessions:
                card = (device.index or 0) if device.type == "cuda" else None
                self._sessions[key] = session(self._file.content, self._name, card=card)
            return self._sessions[key]

    def _run(self, running: Any, x: Tensor) -> NDArray[Any]:
        given: NDArray[Any] = x.contiguous().cpu().numpy().astype(self._file.dtype, copy=False)
        try:
            (found,) = running.run([self._file.output], {self._file.input: given})
        except Exception as error:  # its errors derive from nothing of their own
            raise ModelError(f"{self._name} fails on a tile: {_short(error)}") from error
        if not isinstance(found, np.ndarray) or found.ndim != 4 or found.dtype.kind != "f":
            raise ModelError(f"{self._name} answers no image of numbers a class")
        wanted = 1 if self._how.answer == "sigmoid" else self._card.classes
        if found.shape != (len(given), wanted, *given.shape[2:]):
            raise ModelError(
                f"{self._name} answers {list(found.shape)} to an image of {list(given.shape)}, not"
                f" {wanted} numbers a pixel for its {self._card.classes} classes"
            )
        return found.astype(np.float32, copy=False)

    def _logits(self, answers: Tensor) -> Tensor:
        """Return numbers whose softmax is the file's probabilities."""
        if self._how.answer == "sigmoid":
            answers = torch.cat([1 - answers, answers], dim=1)
        if self._how.answer == "logits":
            return answers
        # Of a sum that is 1 but for rounding; NaN stays one, and is refused where maps are made.
        return torch.log(answers)


def session(content: bytes, name: str | Path, *, card: int | None = None) -> Any:
    """Open a file that was looked at in onnxruntime.

    Parameters
    ----------
    content
        Its bytes: onnxruntime is given no path, so that it can open no other file.
    name
        How to call it in messages.
    card
        Number of the CUDA card that it is to run on, if this onnxruntime can; else it takes all
        processors then. None for one thread of the processor.

    Raises
    ------
    ModelError
        onnxruntime is not installed, or refuses it.
    """
    runtime = library("onnxruntime", name)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    if card is None:
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    providers: list[Any] = ["CPUExecutionProvider"]
    if card is not None and "CUDAExecutionProvider" in runtime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": card}))
    try:
        # Its falling back prints; from a card to the processor it is worth that.
        return runtime.InferenceSession(
            content, options, providers=providers, enable_fallback=int(card is not None)
        )
    except Exception as error:  # its errors derive from nothing of their own
        raise ModelError(f"{name} cannot be run by onnxruntime: {_short(error)}") from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
