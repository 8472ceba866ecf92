"""The options of ``geoseg train`` that decide what is learned: one a field of its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from geoseg.cli.options import precision_option, seed_option

F = TypeVar("F", bound=Callable[..., Any])


def _key_and_value(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    pairs = {}
    for value in values:
        key, sign, text = value.partition("=")
        if not sign or not key.strip():
            raise click.BadParameter(f"'{value}' is not KEY=VALUE")
        pairs[key.strip()] = text.strip()
    return pairs


def _confidence(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> str | float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return str(value).strip()  # a word; whether it is one, the settings say


_NETWORK = (
    click.option(
        "--model",
        default="unet-small",
        show_default=True,
        metavar="NAME",
        help="Network. A class for every pixel: unet (31 M parameters), unet-small (1.9 M),"
        " unet-m46 (1.1 M), unet-resnet34 (25 M), unet-inceptionresnetv2 (61 M), deeplabv3"
        " (ResNet-50 or 101), fcn32s, fcn16s, fcn8s, segnet, agde, pointwise (no neighbourhood),"
        " and smp:ARCHITECTURE/ENCODER of segmentation-models-pytorch, such as"
        " smp:unetplusplus/resnet34. Which classes a patch holds: shallow-cnn, resnet50-cam.",
    ),
    click.option(
        "--model-option",
        "model_options",
        multiple=True,
        callback=_key_and_value,
        metavar="KEY=VALUE",
        help="Option of the network, for example widths=16,32,64,128, batch_norm=false or"
        " backbone=resnet101. Repeatable.",
    ),
    click.option(
        "--weights",
        metavar="FILE|NAME",
        help="Start from these weights: a model or a file of weights, here or at an address, or a"
        " name that the network's library knows (imagenet). The first layer is adapted to the"
        " bands, the last one to the classes.",
    ),
)

_LOSS = (
    click.option(
        "--loss",
        metavar="SUM",
        help="Sum of terms with factors and arguments, such as '0.5*ce + 0.5*lovasz-softmax':"
        " ce (cross entropy), weighted-ce (rare classes count more), bce (each class by itself),"
        " focal(gamma=2), focal-sigmoid(gamma=2), focal-hinge(gamma=2), lovasz-hinge,"
        " lovasz-softmax, jaccard, iou (like jaccard, by another paper); presence (which classes a"
        " patch holds) [default: ce, presence for networks of that kind].",
    ),
    click.option(
        "--present",
        type=click.FloatRange(0, 1, max_open=True),
        metavar="SHARE",
        help="For networks that learn which classes a patch holds: a class is in a patch where it"
        " covers more than this share of it [default: the share that the patches were tiled with,"
        " 0.05 unless asked otherwise]. Not where labels are of whole patches already.",
    ),
    click.option(
        "--confidence",
        callback=_confidence,
        metavar="weight|none|SHARE",
        help="For labels with confidences, such as weak labels (geoseg tile --confidence). weight:"
        " a label of confidence 0.3 is learned from three times of ten, with any loss; validation"
        " uses all labels. none: all labels alike. SHARE: labels below it are ignored, in"
        " validation too [default: weight; none for networks that learn which classes a patch"
        " holds].",
    ),
)

_STEPS = (
    click.option(
        "--optimizer",
        type=click.Choice(["sgd", "adam", "adamw"]),
        default="adamw",
        show_default=True,
        help="How weights follow the gradient.",
    ),
    click.option(
        "--lr",
        type=click.FloatRange(0, min_open=True),
        metavar="RATE",
        help="Learning rate [default: sgd 0.01, adam and adamw 0.001].",
    ),
    click.option(
        "--weight-decay",
        type=click.FloatRange(0),
        metavar="RATE",
        help="Weight decay of kernels; biases and norms have none, nor has the last layer of"
        " networks that learn which classes a patch holds [default: sgd 0.0001, adam 0, adamw"
        " 0.01].",
    ),
    click.option(
        "--momentum", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="Of sgd."
    ),
    click.option(
        "--schedule",
        default="cosine",
        show_default=True,
        metavar="CALL",
        help="Of the learning rate: constant, linear(to=0.1), cosine(to=0),"
        " step(every=25,factor=0.1), cyclical(length=10,low=0.1), plateau(patience=5,factor=0.1);"
        " the first four also with warmup=EPOCHS.",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(1),
        default=60,
        show_default=True,
        help="Passes over the training patches.",
    ),
    click.option(
        "--swa",
        metavar="LIST",
        help="Stochastic weight averaging after the epochs: 'cycles=10,length=6,high=0.1,low=0.01'"
        " for ten cycles of six epochs in which the rate falls from 0.1 to 0.01 of --lr. The model"
        " is the mean of the weights at the cycles' ends.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=8,
        show_default=True,
        help="Patches a batch, over all processes together.",
    ),
    click.option(
        "--accumulate",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Average the gradients of N batches for each step.",
    ),
)

_PATCHES = (
    click.option(
        "--sampler",
        default="random",
        show_default=True,
        metavar="CALL",
        help="Order of the patches: random; equibatch (each class in turn);"
        " oversample(classes=[3,5]) (patches with these classes three times more, rotated);"
        " balance(positive=1,ratio=1) (patches with that class repeated, rotated, until its pixels"
        " are as many as the others). Classes by their ids.",
    ),
    click.option(
        "--max-class-share",
        metavar="IDS:SHARE",
        help="Leave out training patches in which one of these classes covers more than a share,"
        " such as 0,6,7:0.5.",
    ),
    click.option(
        "--augment",
        default="flips,rot90",
        show_default=True,
        metavar="LIST",
        help="What is done to training patches, in this order: flips, rot90, noise(sigma=0.1) (in"
        " units of each band's deviation), rotate(degrees=180), translate(share=0.1),"
        " scale(low=0.8,high=1.25), crop(size=288), gamma(low=0.8,high=1.25), brightness(by=0.1),"
        " jitter (colours; mostly harmful: fields differ by them), or none.",
    ),
    click.option(
        "--downscale",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        metavar="N",
        help="Learn at 1:N of the patches' resolution; the model then predicts so.",
    ),
)

_KEPT = (
    click.option(
        "--keep",
        type=click.Choice(["best", "last"]),
        default="best",
        show_default=True,
        help="Which epoch becomes the model: the best on the validation patches, or the last. With"
        " --swa, the mean of weights does.",
    ),
    click.option(
        "--best-by",
        type=click.Choice(["miou", "accuracy", "loss"]),
        default="miou",
        show_default=True,
        help="What makes an epoch the best.",
    ),
    click.option(
        "--patience",
        type=click.IntRange(1),
        metavar="EPOCHS",
        help="Stop after so many epochs without a better one.",
    ),
)


def learning_options(function: F) -> F:
    """Add every option that decides what is learned."""
    function = seed_option(precision_option(function))
    for option in reversed((*_NETWORK, *_LOSS, *_STEPS, *_PATCHES, *_KEPT)):
        function = option(function)
    return function
