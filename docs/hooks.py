"""What mkdocs asks while it builds the site: pages that are made of the code and never drift."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import plan
import reference
import tutorials

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_MARK = re.compile(r"^<!-- (readme|functions|plan)(?:: (.+?))? -->$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that are made into the navigation."""
    made: dict[str, list[Any]] = {
        "commands": [
            "commands/index.md",
            *({name: f"commands/{name}.md"} for name in reference.commands()),
        ],
        "tutorials": [f"tutorials/{path.stem}.md" for path in tutorials.notebooks()],
        "results": [f"results/{path.name}" for path in results()],
    }
    config.nav = [
        item if isinstance(item, str) else {t: made.get(str(p), p) for t, p in item.items()}
        for item in config.nav or ()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    from mkdocs.structure.files import File  # noqa: PLC0415 — tests read this file without mkdocs

    pages = {"commands/index.md": reference.commands_index()}
    pages |= {f"commands/{n}.md": reference.command_page(n) for n in reference.commands()}
    pages |= {f"results/{p.name}": p.read_text(encoding="utf-8") for p in results()}
    for made in tutorials.tutorials():
        pages[f"tutorials/{made.name}.md"] = made.markdown
        for name, picture in made.pictures.items():
            files.append(File.generated(config, f"tutorials/{name}", content=picture))
    for path in tutorials.notebooks():
        place = f"tutorials/{path.name}"
        files.append(File.generated(config, place, content=path.read_bytes()))
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what stands in the README and in docstrings."""

    def fill(match: re.Match[str]) -> str:
        if match[1] == "functions":
            return reference.function_sections()
        if match[1] == "plan":
            return plan.page()
        return f"```python\n{reference.readme_block(match[2])}```"

    return _MARK.sub(fill, markdown)


def results() -> list[Path]:
    """Files of measurements."""
    return sorted(reference.RESULTS.glob("*.md"))
