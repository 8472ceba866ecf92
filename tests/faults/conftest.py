"""Commands run in children, on small inputs, with something that goes wrong."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

INPUTS = Path(__file__).parents[2] / "docs" / "examples" / "inputs.py"
LONGEST = 120
"""Seconds after which a run is taken to hang."""

TRAIN = "--model unet-small --model-option widths=4,8 --batch-size 8 --device cpu --workers 1"
COMMANDS = {
    "tile": "tile {data}/scene.tif --labels {data}/labels.tif --size 32 --stride 16 -o {out}/set",
    "predict": "predict {data}/scene.tif -m {data}/model.safetensors --tile 32 --device cpu"
    " --confidence {out}/sure.tif -o {out}/map.tif",
    "clean": "predict {data}/scene.tif -m {data}/model.safetensors --tile 32 --device cpu"
    " --min-area 1ha -o {out}/map.tif",
    "composite": "composite {data}/may.tif {data}/june.tif {data}/july.tif -o {out}/mean.tif",
    "vectorise": "vectorise {data}/labels.tif --simplify 2px -o {out}/polygons.gpkg",
    "homogenise": "homogenise {data}/flights --method overlap -o {out}/even",
    "coverage": "coverage {data}/labels.tif --target forest --cell 600m -o {out}/forest.tif",
    "train": f"train {{data}}/patches --epochs 2 {TRAIN} -o {{out}}/m.safetensors",
    "cam": "cam {data}/scene.tif -m {data}/presence.safetensors --device cpu"
    " --weak-labels {out}/weak.tif -o {out}/cam.tif",
}
"""Commands by a name: {data} holds inputs, {out} takes outputs."""
RESUMES = {"tile", "predict", "clean", "composite", "vectorise", "train"}


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    status: int
    """Exit status; negative for a signal."""
    out: str
    err: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


class Runner:
    """Runs commands in children of a process that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fault_runner.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._said() == "ready"

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def words(self, name: str, out: Path, *more: str) -> list[str]:
        words = COMMANDS.get(name, name).split()
        return [w.replace("{data}", str(self.data)).replace("{out}", str(out)) for w in words] + [
            *more
        ]

    def __call__(
        self,
        name: str,
        out: Path,
        *more: str,
        faults: Sequence[tuple[str, int, str]] = (),
        before: str = "",
        signals: Sequence[tuple[float, int]] = (),
    ) -> Ended:
        """Run a command of `COMMANDS`, or where there is no name, words alone.

        Signals are sent after so many seconds each.
        """
        told = [self.folder / name for name in ("out.txt", "err.txt")]
        job: dict[str, Any] = {
            "args": self.words(name, out, *more),
            "cwd": str(self.folder),
            "out": str(told[0]),
            "err": str(told[1]),
            "before": before,
            "faults": list(faults),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        child, began = int(self._said()), time.perf_counter()
        hung = threading.Timer(LONGEST, self._kill, [child, signal.SIGKILL])
        hung.start()
        for seconds, number in signals:
            time.sleep(seconds)
            self._kill(child, number)
        status = int(self._said())
        hung.cancel()
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in told]
        ended = -(status & 127) or status >> 8
        return Ended(ended, *texts, time.perf_counter() - began)

    @staticmethod
    def _kill(child: int, number: int) -> None:
        with suppress(ProcessLookupError):  # it was done before
            os.kill(child, number)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def make_data(run: Runner) -> None:
    """Make the inputs of all commands."""
    runpy.run_path(str(INPUTS))["make"](run.data)
    cut = "tile {data}/scene.tif --labels {data}/labels.tif --size 32 --stride 32 -o"
    assert run(f"{cut} {{data}}/patches", run.data).status == 0
    learn = "train {data}/patches --model shallow-cnn --optimizer adam --epochs 1 --device cpu -o"
    assert run(f"{learn} {{data}}/presence.safetensors", run.data).status == 0


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Run a command of `COMMANDS`, or words, with faults."""
    if sys.platform == "win32":
        pytest.skip("processes do not fork there")
    runner = Runner(tmp_path_factory.mktemp("faults"))
    make_data(runner)
    yield runner
    runner.close()


class Checked:
    """One command that fails in one folder, and is run again."""

    def __init__(self, run: Runner, whole: dict[str, dict[str, bytes]], folder: Path) -> None:
        self.run, self._whole, self._folder = run, whole, folder
        self.out = folder / "out"
        self.out.mkdir(parents=True, exist_ok=True)

    def contents(self) -> dict[str, bytes]:
        """What lies in the folder of outputs; of a model that was trained, the model alone."""
        return {
            str(p.relative_to(self.out)): p.read_bytes()
            for p in self.out.rglob("*")
            if p.is_file() and (not p.name.startswith("m.") or p.suffix == ".safetensors")
        }

    def whole(self, name: str) -> dict[str, bytes]:
        """What a command makes where nothing goes wrong, made once."""
        if name not in self._whole:
            other = Checked(self.run, {}, self._folder / "whole")
            ended = self.run(name, other.out)
            assert ended.status == 0, ended.err
            self._whole[name] = other.contents()
        return self._whole[name]

    def fails(self, name: str, *more: str, status: int = 1, **fault: Any) -> str:
        """Run, and check how it fails: in one line, and with nothing lost or half-written.

        Returns
        -------
        What was said.
        """
        (self.out / "before.txt").write_text("was there before")
        visible = {"before.txt", "m.checkpoint"} | {p.name for p in self.out.iterdir()}
        ended = self.run(name, self.out, *more, **fault)
        assert ended.status == status, ended.err
        said = [
            line for line in ended.lines if line and not line.startswith(("epoch", "Note: wit"))
        ]
        notes = [line for line in said if line.startswith("Note: ")]
        if status == 1:
            assert [line.startswith("Error: ") for line in said] == [False] * len(notes) + [True]
            assert "defect" not in said[-1] or "faulty" in said[-1]
        assert "Traceback" not in ended.err
        if self.out.is_dir():
            left = {path.name for path in self.out.iterdir()} - visible
            assert all(re.fullmatch(r"\..+\.part", path) for path in left)
            assert not left or "--resume goes on from there" in ended.err or status == -9
            assert (self.out / "before.txt").read_text() == "was there before"
        return ended.err

    def again(self, name: str, *more: str) -> None:
        """Run without faults, and check that the same comes out as if there never was one."""
        resume = ["--resume"] if name in RESUMES else []
        ended = self.run(name, self.out, *resume, *more)
        assert ended.status == 0, ended.err
        made = self.contents()
        made.pop("before.txt", None)
        assert made == self.whole(name)
        assert not [p.name for p in self.out.iterdir() if p.name.startswith(".")]


@pytest.fixture(scope="session")
def whole() -> dict[str, dict[str, bytes]]:
    """What commands make where nothing goes wrong."""
    return {}


@pytest.fixture
def checked(run: Runner, whole: dict[str, dict[str, bytes]], tmp_path: Path) -> Checked:
    """Run commands that fail, into one folder."""
    return Checked(run, whole, tmp_path)
