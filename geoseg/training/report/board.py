"""The curves of a run for TensorBoard, where it is installed."""

from __future__ import annotations

import importlib.util
import math
import time
from pathlib import Path
from typing import Any

from geoseg.errors import OptionError
from geoseg.raster.outputs.trouble import output_error
from geoseg.training.records import EpochRecord

_TAGS = {
    "rate": "learning_rate",
    "train_loss": "loss/train",
    "train_accuracy": "accuracy/train",
    "train_miou": "miou/train",
    "val_loss": "loss/val",
    "val_accuracy": "accuracy/val",
    "val_miou": "miou/val",
}


def check_tensorboard() -> None:
    """Check before the work that curves can be written for TensorBoard.

    Raises
    ------
    OptionError
        TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise OptionError(
            "--tensorboard needs the package tensorboard, which is not installed:"
            " pip install tensorboard"
        )


class Board:
    """Writes one point an epoch and curve into a folder that TensorBoard watches.

    The writer is TensorBoard's own, not torch's, which would import more. A run that goes on, or
    starts anew, in the same folder replaces what stands there from its first record on: TensorBoard
    drops the older points.

    Parameters
    ----------
    folder
        Made if need be; one a run. TensorBoard shows runs in folders side by side together.

    Raises
    ------
    OptionError
        TensorBoard is not installed.
    OutputError
        The folder cannot be written to.
    """

    def __init__(self, folder: str | Path) -> None:
        check_tensorboard()
        from tensorboard.summary.writer.event_file_writer import (  # noqa: PLC0415 — as asked for
            EventFileWriter,
        )

        self._folder = Path(folder)
        self._started = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer: Any = EventFileWriter(str(self._folder))
        except OSError as error:
            raise output_error(error, self._folder) from error

    def add(self, record: EpochRecord) -> None:
        """Write the points of one epoch, those left out that are not finite; seen at once.

        Raises
        ------
        OutputError
            The disk is full, or the folder has gone.
        """
        from tensorboard.compat.proto import event_pb2, summary_pb2  # noqa: PLC0415 — as above

        values = [
            summary_pb2.Summary.Value(tag=tag, simple_value=value)
            for name, tag in _TAGS.items()
            if math.isfinite(value := float(getattr(record, name)))
        ]
        events = [
            event_pb2.Event(
                wall_time=time.time(),
                step=record.epoch,
                summary=summary_pb2.Summary(value=values),
            )
        ]
        if not self._started:
            # What an earlier writer left from this step on is to be forgotten.
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            events.insert(
                0, event_pb2.Event(wall_time=time.time(), step=record.epoch, session_log=start)
            )
            self._started = True
        try:
            for event in events:
                self._writer.add_event(event)
            self._writer.flush()
        except OSError as error:
            raise output_error(error, self._folder) from error

    def close(self) -> None:
        """Write what is still to be written.

        Raises
        ------
        OutputError
            The disk is full, or the folder has gone.
        """
        try:
            self._writer.close()
        except OSError as error:
            raise output_error(error, self._folder) from error
