"""The peers' own virtual environments, of pinned requirements, made once and kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).resolve().parents[1] / "peers"
NAMES = ("torch", "pred", "rv", "num")
SHARING = ("pred", "rv")
"""Environments that see the PyTorch of `torch`, which is 5 GB and the same for both."""


@dataclass(frozen=True, kw_only=True)
class Environments:
    """Where the peers' Pythons are."""

    folder: Path
    """One folder an environment."""

    def python(self, name: str) -> str | None:
        """Return an environment's Python; None if it was not made of today's requirements."""
        if not self._mark(name).exists():
            return None
        return str(self.folder / name / "bin" / "python")

    def build(self, *, again: bool = False) -> list[str]:
        """Make what is missing; return a line for each that could not be made."""
        failed = []
        for name in NAMES:
            if self.python(name) is None or again:
                trouble = self._make(name)
                if trouble:
                    failed.append(f"{name}: {trouble}")
        return failed

    def versions(self, *names: str) -> dict[str, str]:
        """Return the pinned versions of packages, by the names that the requirements use."""
        found = {}
        for path in sorted(PEERS.glob("*.txt")):
            for line in path.read_text(encoding="utf-8").splitlines():
                package, same, version = line.partition("==")
                if same and package.lower().replace("_", "-") in names:
                    found[package.lower().replace("_", "-")] = version
        return found

    def _mark(self, name: str) -> Path:
        # An environment of other requirements is another one.
        digest = hashlib.sha256((PEERS / f"{name}.txt").read_bytes()).hexdigest()[:16]
        return self.folder / name / f"made-of-{digest}"

    def _make(self, name: str) -> str:
        place = self.folder / name
        print(f"making the environment {name}: minutes", file=sys.stderr, flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            python = place / "bin" / "python"
            if name in SHARING:
                line = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
                own = subprocess.check_output(line, text=True).strip()
                shared = self.folder / "torch" / Path(own).relative_to(place)
                (Path(own) / "shared_torch.pth").write_text(f"{shared}\n", encoding="utf-8")
            pins = str(PEERS / f"{name}.txt")
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", pins],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except subprocess.CalledProcessError as error:
            said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
            return said[-1] if said else str(error)
        self._mark(name).touch()
        return ""
