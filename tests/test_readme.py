"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from geoseg import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

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


def test_every_command_is_in_the_table() -> None:
    listed = re.findall(r"^\| `geoseg (\w+)` \|", README, flags=re.MULTILINE)
    assert set(listed) == set(cli._COMMANDS)


def test_figures_beside_others_are_those_that_were_measured() -> None:
    rows = re.findall(r"^\| (.+) \(\[conditions\]\((.+?)\)\) \|(.+)\|$", README, flags=re.MULTILINE)
    assert len(rows) >= 8
    for what, link, figures in rows:
        measured = set(re.findall(r"\d[\d,.]*\d|\d", (ROOT / link).read_text(encoding="utf-8")))
        found = re.findall(r"\d[\d,.]*\d|\d", figures)
        assert found, what
        assert set(found) <= measured, what


def test_what_is_linked_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+?)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_is_read_in_one_sitting() -> None:
    assert len(README.splitlines()) <= 215
