"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")

CHECK = """
import torch
from geoseg.training.losses import LossContext, make_loss
loss = make_loss("0.5*ce + 0.5*dice(smooth=2)", LossContext(classes=3, class_pixels=(1, 1, 1)))
labels = torch.tensor([[[0, 1], [2, 255]]])
right = torch.nn.functional.one_hot(labels.clamp(max=2), 3).movedim(-1, 1) * 50.0
assert loss(right, labels) < 0.3 < 1 < loss(-right, labels)
"""


def test_the_loss_in_the_readme_is_a_loss() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (code,) = [block for block in blocks if '@register("dice")' in block]
    # In a process of its own: a name that is registered stays so.
    done = subprocess.run(
        [sys.executable, "-c", code + CHECK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
