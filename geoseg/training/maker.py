"""What made the files of a training run, in the words of ``geoseg train``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from geoseg.patches.dataset import PatchDataset
from geoseg.raster.provenance import option_words, provenance
from geoseg.training.settings import Settings

DATA = "DIR"
"""Stands for the data set's folder: the same patches give the same model whatever they are called,
and are told by their digest."""
TEST = "DIR2"
"""Stands for the folder of the patches that a comparison is scored on, if it is another."""


def training_tags(
    dataset: PatchDataset,
    settings: Mapping[str, Any],
    *,
    compared: Mapping[str, Sequence[str]] | None = None,
    folds: int | None = None,
    others: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Say what made a model and what lies beside it.

    Parameters
    ----------
    dataset
        The patches learned from.
    settings
        As `Settings.to_json` or `Settings.noted` gives them; what is the default is not told.
    compared, folds
        Of a comparison: values of each setting that was varied, and into how many folds the patches
        were cut.
    others
        Digests of what else was read, by what stands for it.

    Returns
    -------
    Tags as of `geoseg.raster.provenance.provenance`, the same on every machine.
    """
    said = _given(settings) | ({} if folds is None else {"folds": folds})
    words = ["geoseg", "train", DATA, *_model_options(settings), *option_words(said)]
    options = {**said, **_named(settings)}
    if compared:
        options["compare"] = [f"{name}={'; '.join(values)}" for name, values in compared.items()]
        words += [word for text in options["compare"] for word in ("--compare", text)]
    if others and TEST in others:
        words += ["--test", TEST]
    return provenance(
        words,
        {DATA: dataset.hash(), **(others or {})},
        options=options,
        also=("torch",),
    )


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name that are not the default's."""
    plain = Settings().to_json()
    return {
        f.name.replace("_", "-"): settings[f.name]
        for f in fields(Settings)
        if f.name != "model_options"
        and settings.get(f.name) is not None
        and (settings[f.name] != plain[f.name] or f.name == "model")
    }


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = settings.get("model_options")
    return {"model-option": options} if options else {}


def _model_options(settings: Mapping[str, Any]) -> Sequence[str]:
    words: list[str] = []
    for name, value in (settings.get("model_options") or {}).items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else _written(value)
        words += ["--model-option", f"{name}={text}"]
    return words


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
