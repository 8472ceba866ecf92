"""Any network of segmentation-models-pytorch: ``smp:<architecture>/<encoder>``."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ModelError, OptionError
from geoseg.models.library import LibraryNetwork, needed
from geoseg.models.registry import register_family

_FAMILY = "smp"
_PACKAGE = "segmentation-models-pytorch"
_TIMM = "tu-"
# What a user's options are not: they are given otherwise, or would change what comes out.
_GIVEN = frozenset(
    ("encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params")
)
# The dilated and pooled decoders halve their features some times more than the encoder says.
_SMALLEST = {"pan": 128}
# These take the mean of an image through a batch norm.
_POOLED = frozenset(("deeplabv3", "deeplabv3plus", "pan", "pspnet", "upernet"))
_STRIDE = 32
# timm's transformers take images of one size unless told otherwise.
_ANY_SIZE: Mapping[str, Mapping[str, Any]] = {
    "vit": {"dynamic_img_size": True},
    "swin": {"strict_img_size": False},
}
_VISION_TRANSFORMERS = ("vit", "deit", "deit3", "beit", "beitv2", "eva", "eva02")
_MOST = 8192
_LONGEST = 16
# How the library refuses: by assertions, by look-ups that fail, by shapes that do not fit.
_REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class SmpNetwork(LibraryNetwork):
    """A network of segmentation-models-pytorch (Iakubovskii 2019), built by name.

    With fresh weights, whatever the library's default is: `geoseg.models.pretrained` fetches
    trained ones. Images are continued to multiples of 32 pixels (of the patch's side, where an
    encoder cuts images into patches of another one), for all architectures alike, and logits
    cropped back. timm's Vision and Swin Transformers are told to take images of any size.

    Parameters
    ----------
    architecture
        One of the library's, small letters.
    encoder
        One of the library's; one of timm's with ``tu-`` before its name.
    in_channels
        Number of bands.
    classes
        Number of classes.
    **options
        Of the library's architecture: ``decoder_channels``, ``encoder_depth`` …

    Raises
    ------
    ModelError
        There is no such architecture or encoder, the two do not go together, or the encoder
        takes images of one size alone.
    OptionError
        The options make no sense.
    """

    smallest_batch: int
    """Images that a batch must have in training."""

    def __init__(
        self, architecture: str, encoder: str, *, in_channels: int, classes: int, **options: Any
    ) -> None:
        self._name = f"{_FAMILY}:{architecture}/{encoder}"
        self._architecture, self._encoder = _architecture(architecture), encoder
        self._options = _checked(self._name, options)
        with self._refusals():
            super().__init__(
                lambda: self._make(None, in_channels=in_channels, classes=classes), stride=_STRIDE
            )
            network: Any = self.network
            own = int(network.encoder.output_stride)
        self.stride = own * -(-_STRIDE // own)
        self.smallest = _SMALLEST.get(architecture, 1)
        self.smallest_batch = 2 if architecture in _POOLED else 1
        self._try(in_channels, classes)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), H and W multiples of `stride`."""
        height, width = x.shape[-2], x.shape[-1]
        below, right = max(self.smallest - height, 0), max(self.smallest - width, 0)
        if below or right:
            x = functional.pad(x, (0, right, 0, below), mode="replicate")
        y: Tensor = self.network(x)
        return y[..., :height, :width] if below or right else y

    def pretrained_names(self) -> tuple[str, ...]:
        """Return the library's names for the encoder's; ``imagenet`` for timm's, if any."""
        from segmentation_models_pytorch.encoders import encoders  # noqa: PLC0415
        from timm.models import is_model_pretrained  # noqa: PLC0415

        if self._encoder.startswith(_TIMM):
            has_some = is_model_pretrained(self._encoder.removeprefix(_TIMM))
            return ("imagenet",) if has_some else ()
        return tuple(encoders[self._encoder]["pretrained_settings"])

    def pretrained(self, name: str) -> dict[str, Tensor]:
        """Fetch the encoder's weights called `name`; see `geoseg.models.library.Pretrained`."""
        weights: Any = True if self._encoder.startswith(_TIMM) else name
        made: Any = self._make(weights, in_channels=3, classes=1)
        return {f"encoder.{key}": value for key, value in made.encoder.state_dict().items()}

    def _make(self, weights: object, *, in_channels: int, classes: int) -> nn.Module:
        with warnings.catch_warnings():
            # The library would rather have some encoders under other names; a model that is
            # there keeps its name.
            warnings.filterwarnings("ignore", "`timm-` encoders are deprecated", DeprecationWarning)
            warnings.filterwarnings("ignore", "Encoder does not have prefix tokens", UserWarning)
            made: nn.Module = self._architecture(
                encoder_name=self._encoder,
                encoder_weights=weights,
                in_channels=in_channels,
                classes=classes,
                **self._options,
                **_any_size(self._encoder),
            )
        return made

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except _REFUSALS as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            if self._options:
                given = ", ".join(f"{key}={value!r}" for key, value in self._options.items())
                raise OptionError(
                    f"network {self._name!r} cannot be built with {given}: {reason}"
                ) from error
            raise ModelError(f"network {self._name!r} cannot be built: {reason}") from error

    def _try(self, in_channels: int, classes: int) -> None:
        """See that an image goes in and as large a map comes out.

        Some encoders take one size alone, and with some options a network answers at another
        size than that of the image; neither is seen before an image is there.
        """
        device = next(self.network.parameters()).device
        # Not square, so that sides taken for each other are seen as well.
        height, width = self.stride, 2 * self.stride
        self.eval()
        with torch.inference_mode():
            image = torch.zeros(1, in_channels, height, width, device=device)
            with self._refusals():
                found = tuple(self.logits(image).shape)
        self.train()
        if found != (1, classes, height, width):
            raise OptionError(
                f"network {self._name!r} answers an image of {height} × {width} with"
                f" {' × '.join(map(str, found[2:]))} pixels: its options do not go together"
            )


@register_family(_FAMILY)
def members(member: str) -> Callable[..., nn.Module]:
    """Return the builder of ``smp:<architecture>/<encoder>``, for what stands behind the colon.

    Its options are those of the library's architecture.

    Raises
    ------
    ModelError
        There is no such architecture or encoder; the message names near ones.
    """
    architecture, slash, encoder = member.partition("/")
    made = _architecture(architecture)
    if not slash:
        raise ModelError(
            f"network '{_FAMILY}:{member}' names no encoder: write"
            f" {_FAMILY}:{architecture}/resnet34, for instance"
        )
    _check_encoder(architecture, encoder)

    def build(*, in_channels: int, classes: int, **options: Any) -> SmpNetwork:
        return SmpNetwork(
            architecture, encoder, in_channels=in_channels, classes=classes, **options
        )

    known = inspect.signature(made).parameters.values()
    kind = inspect.Parameter.KEYWORD_ONLY
    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in ("in_channels", "classes")]
        + [
            p.replace(kind=kind)
            for p in known
            if p.kind is not inspect.Parameter.VAR_KEYWORD and p.name not in _GIVEN
        ]
    )
    return build


def _architecture(name: str) -> Callable[..., nn.Module]:
    with needed(_PACKAGE, f"{_FAMILY}:{name}"):
        from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING  # noqa: PLC0415
    known: Mapping[str, Callable[..., nn.Module]] = MODEL_ARCHITECTURES_MAPPING
    if name not in known:
        raise ModelError(
            f"{_PACKAGE} has no architecture {name!r}{_near(name, known)}; it has:"
            f" {', '.join(sorted(known))}"
        )
    return known[name]


def _check_encoder(architecture: str, name: str) -> None:
    """Check that the library has an encoder, without asking any server.

    timm would fetch the description of a network whose name begins with ``hf-hub:``.
    """
    from segmentation_models_pytorch.encoders import encoders  # noqa: PLC0415
    from timm import is_model, list_models  # noqa: PLC0415

    if name.startswith(_TIMM):
        inside = name.removeprefix(_TIMM)
        if ":" in inside or not is_model(inside):
            near = _near(inside, list_models(), before=_TIMM)
            raise ModelError(f"timm has no network {inside!r}{near}")
        if architecture != "dpt" and _is_vision_transformer(inside):
            raise ModelError(
                f"encoder {name!r} has features of one size, which {architecture!r} cannot use:"
                f" take {_FAMILY}:dpt/{name}"
            )
    elif name not in encoders:
        raise ModelError(
            f"{_PACKAGE} has no encoder {name!r}{_near(name, encoders)}; it has"
            f" {len(encoders)}, and those of timm behind {_TIMM!r}"
        )


def _is_vision_transformer(name: str) -> bool:
    return name.partition("_")[0] in _VISION_TRANSFORMERS


def _any_size(encoder: str) -> Mapping[str, Any]:
    """Return what an encoder must be told to take images of any size."""
    name = encoder.removeprefix(_TIMM)
    if name == encoder:
        return {}
    if _is_vision_transformer(name):
        return _ANY_SIZE["vit"]
    return _ANY_SIZE["swin"] if name.partition("_")[0] in ("swin", "swinv2") else {}


def _near(name: str, known: Collection[str], *, before: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f" (near it: {', '.join(before + n for n in near)})" if near else ""


def _checked(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check that options come from a command line or a file of ours, and bound their numbers.

    A model file from somewhere must not make a network that fills the memory.
    """
    for key, value in options.items():
        values = value if isinstance(value, list | tuple) else (value,)
        plain = len(values) <= _LONGEST and all(
            v is None
            or isinstance(v, str)
            or (isinstance(v, bool | int | float) and abs(v) <= _MOST)
            for v in values
        )
        if not plain:
            raise OptionError(
                f"network {name!r}: {key} is a word, a number up to {_MOST}, or up to {_LONGEST}"
                f" of them, not {value!r:.100}"
            )
    return dict(options)
