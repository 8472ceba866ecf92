"""Networks for work that is shared out: made ready where they run, once a process."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import torch

from geoseg.errors import ClusterError
from geoseg.inference.members import Ensemble, make_ensemble
from geoseg.inference.settings import PredictSettings
from geoseg.models.bundle import ModelBundle
from geoseg.models.device import resolve_device


class Networks:
    """Models made ready once a process, where they are needed; not where they come from.

    Parameters
    ----------
    models
        One, or an ensemble.
    settings
        Precision, symmetries.
    device
        Where they run, in the words of the user.
    kind
        Type of device that all must run on, for maps to be the same.
    """

    def __init__(
        self,
        models: Sequence[ModelBundle],
        settings: PredictSettings,
        *,
        device: str,
        kind: str | None,
    ) -> None:
        self.models = tuple(models)
        self._settings = settings
        self._device = device
        self._kind = kind
        self._ready: Ensemble | None = None
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what is of this process alone."""
        state = vars(self) | {"_ready": None}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock())

    def ready(self) -> Ensemble:
        """Return them ready; all calls in a process give the same, those of several threads too.

        Raises
        ------
        OptionError
            There is no such device here.
        ClusterError
            It is of another type than that of others.
        """
        with self._lock:
            if self._ready is None:
                self._ready = self._make_ready()
            return self._ready

    def _make_ready(self) -> Ensemble:
        device = resolve_device(self._device)
        if self._kind is not None and device.type != self._kind:
            from geoseg.cluster.worker import worker_name  # noqa: PLC0415 — imports dask

            raise ClusterError(
                f"the worker {worker_name()} would compute on {device.type}, others on"
                f" {self._kind}, and maps would not be the same: say which with --device"
            )
        if device.type == "cpu":
            # Tasks of other threads must not find another number when they begin.
            torch.set_num_threads(1)
        return make_ensemble(
            self.models,
            device=device,
            precision=self._settings.precision,
            tta=self._settings.tta,
            compiled=self._settings.compile,
        )
