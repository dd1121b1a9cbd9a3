"""fp32 or bf16: what the processor can do, and what a training is done in."""

from typing import Literal, cast

import torch

from lt4rec_core.errors import TrainingError
from lt4rec_core.model.network import NetworkConfig
from lt4rec_core.training.settings import TrainingConfig

Precision = Literal["fp32", "bf16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself (AMX or AVX512-BF16); emulated it is slower than fp32."""
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def automatic(config: TrainingConfig, network: NetworkConfig) -> Precision:
    """What a daily chain, or a ticket for it, begins with: bf16 where processor, steps and network know it.

    Raises:
        TrainingError: bf16 is asked for, and this processor lacks it.
    """
    if config.precision != "auto":
        return checked(config.precision)
    known = config.steps == "alternating" and network.interaction != "user_video"
    return "bf16" if known and has_bf16() else "fp32"


def for_comparison(config: TrainingConfig) -> Precision:
    """What the rows of a race are trained in: fp32, whichever machine goes on with it, unless asked for bf16.

    Raises:
        TrainingError: bf16 is asked for, and this processor lacks it.
    """
    return "fp32" if config.precision == "auto" else checked(config.precision)


def checked(precision: str) -> Precision:
    """The precision, where this processor has it.

    Raises:
        TrainingError: bf16 would be emulated.
    """
    if precision == "bf16" and not has_bf16():
        raise TrainingError(
            "This training is in bf16, which this processor would have to emulate: it has neither AMX nor "
            'AVX512-BF16. Go on where it was begun, or start a new chain with [training] precision = "fp32".'
        )
    return cast(Precision, precision)
