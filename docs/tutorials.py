"""Tutorials: the notebooks, executed, as pages of the site.

An executed notebook is kept under ``build/tutorials``, named by its contents and by those of the
package, so that the site and the tests execute each once. A notebook that was executed with another
state of the package is good enough for a page while one writes; in a fresh checkout, as in CI,
there is none. Knows nothing of mkdocs.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
KEPT = ROOT / "build" / "tutorials"

_LIBRARIES = ("matplotlib", "numpy", "rasterio", "torch")
_LONGEST = 900  # seconds for a cell, on a machine that does much else besides
_AT_ONCE = 2
_THREADS = "2"  # of each, unless the environment says otherwise
_LINK = re.compile(r"\]\(([\w-]+)\.ipynb\)")


@dataclass(frozen=True, kw_only=True)
class Tutorial:
    """A page and what it shows."""

    name: str
    """Of the notebook, without its suffix."""
    markdown: str
    """The page; its pictures are at the names below."""
    pictures: dict[str, bytes]
    """PNG files by name, relative to the page."""


def notebooks() -> list[Path]:
    """All notebooks, in the order in which they are read."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def tutorials() -> list[Tutorial]:
    """Make a page of each notebook; those that were never executed are."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = list(pool.map(lambda path: executed(path, strict=False), notebooks()))
    return [page(path.stem, notebook) for path, notebook in zip(notebooks(), done, strict=True)]


def executed(path: Path, *, strict: bool = True) -> NotebookNode:
    """Return a notebook with its outputs, executed in an empty folder unless that was done.

    Parameters
    ----------
    path
        The notebook.
    strict
        Whether it must have been executed with the package as it is now.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell fails.
    """
    import nbformat  # noqa: PLC0415 — the names of the pages are wanted without

    content = f"{path.stem}-{_hash(path)}"
    wanted = KEPT / f"{content}-{_package_hash()}.ipynb"
    others = [] if strict else sorted(KEPT.glob(f"{content}-*.ipynb"))
    for kept in (wanted, *others):
        if kept.exists():
            return nbformat.read(kept, as_version=4)
    notebook = _execute(nbformat.read(path, as_version=4))
    KEPT.mkdir(parents=True, exist_ok=True)
    hidden = wanted.with_suffix(f".{os.getpid()}")
    nbformat.write(notebook, hidden)
    for old in KEPT.glob(f"{path.stem}-*.ipynb"):
        old.unlink(missing_ok=True)
    hidden.replace(wanted)
    return notebook


def page(name: str, notebook: NotebookNode) -> Tutorial:
    """Make a page of an executed notebook, with a link to the notebook below its title."""
    from nbconvert import MarkdownExporter  # noqa: PLC0415

    places = {"unique_key": name, "output_files_dir": f"{name}_files"}
    text, found = MarkdownExporter().from_notebook_node(notebook, resources=places)
    title, _, rest = _LINK.sub(r"](\1.md)", text).strip().partition("\n")
    note = f"*This page is a notebook with what came out: [{name}.ipynb]({name}.ipynb).*"
    rest = rest.replace("![png](", "![picture drawn by the code above](")
    return Tutorial(
        name=name, markdown=f"{title}\n\n{note}\n{rest}\n", pictures=dict(found["outputs"])
    )


def _execute(notebook: NotebookNode) -> NotebookNode:
    from nbclient import NotebookClient  # noqa: PLC0415

    with TemporaryDirectory(prefix="geoseg-tutorial-") as folder:
        empty = Path(folder)
        (empty / "work").mkdir()
        (empty / "tmp").mkdir()  # where notebooks make their folders
        client = NotebookClient(
            notebook,
            timeout=_LONGEST,
            kernel_name="python3",
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(empty / "work")}},
        )
        # The same package as here, and no settings of a person.
        paths = os.pathsep.join(part for part in sys.path if part)
        settings = {
            "PYTHONPATH": paths,
            "IPYTHONDIR": str(empty / "ipython"),
            "TMPDIR": str(empty / "tmp"),
        }
        return client.execute(env={"OMP_NUM_THREADS": _THREADS, **os.environ, **settings})


def _package_hash() -> str:
    """Hash what decides the outputs besides the notebook."""
    import geoseg  # noqa: PLC0415 — the installed package or the source tree, whichever is used

    package = Path(geoseg.__file__).parent
    sources = sorted(p for p in package.rglob("*") if p.suffix in (".py", ".safetensors"))
    versions = [platform.python_version(), *(f"{name} {version(name)}" for name in _LIBRARIES)]
    lines = [f"{path.relative_to(package).as_posix()} {_hash(path)}" for path in sources]
    return _short("\n".join([*versions, _hash(Path(__file__)), *lines]).encode())


def _hash(path: Path) -> str:
    return _short(path.read_bytes())


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
