"""Starts a command once a card, by torch's own launcher."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

from geoseg.errors import OptionError

WORDS = "geoseg.words"
"""Where a command's context says how it was typed, if not on the command line of the process."""


def cards_of(device: str) -> tuple[int, ...]:
    """Numbers of the cards in ``cuda:0,1``; none where the device is one.

    Raises
    ------
    OptionError
        A number stands there twice.
    """
    match = re.fullmatch(r"cuda:(\d+(?:,\d+)+)", device.strip())
    if match is None:
        return ()
    cards = tuple(int(number) for number in match[1].split(","))
    if len(set(cards)) < len(cards):
        raise OptionError(f"--device {device} names a card twice")
    return cards


def is_first() -> bool:
    """Whether this process is the one that speaks: the first that a launcher started, or alone."""
    return os.environ.get("RANK", "0") == "0"


def run_on_cards(cards: Sequence[int], words: Sequence[str]) -> int:
    """Run ``geoseg WORDS`` with a process a card, and return its exit status.

    Parameters
    ----------
    cards
        Numbers of the cards; each process sees these alone and takes the one of its rank.
    words
        The command and its options, among them none that names the device.

    Raises
    ------
    OptionError
        A card is not there.
    """
    from geoseg.models.device import resolve_device  # noqa: PLC0415 — imports torch

    for card in cards:
        # Said once, here, and not by each process.
        resolve_device(f"cuda:{card}", typed=f"cuda:{','.join(map(str, cards))}")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    named = visible.split(",") if visible else [str(n) for n in range(max(cards) + 1)]
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": ",".join(named[card] for card in cards),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    started = subprocess.Popen(
        [*launcher, f"--nproc-per-node={len(cards)}", "-m", "geoseg", *words, "--device", "cuda"],
        env=environment,
    )
    interrupted = False
    while True:
        try:
            status = started.wait()
            return 130 if interrupted and status else status
        except KeyboardInterrupt:
            # The processes have got it too, and stop when their checkpoint is written.
            interrupted = True
