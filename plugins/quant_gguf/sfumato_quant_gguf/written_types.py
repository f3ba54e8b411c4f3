"""The types that weights are written as. Imports no torch."""

from __future__ import annotations

from functools import lru_cache
from typing import NoReturn

from sfumato.errors import BadInput, UnknownName
from sfumato_quant_gguf.tensor_types import TYPES, TensorType

PLAIN = ("F32", "F16", "BF16")
WRITABLE = (
    *PLAIN,
    *("Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "MXFP4"),
    *("Q3_K", "Q2_K", "TQ2_0", "TQ1_0"),
)
"""As the format spells them."""

NEED_IMPORTANCE = ("IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_S", "IQ1_M")


@lru_cache
def tensor_type(name: str) -> TensorType:
    """Sizes of a type's blocks; KeyError where there is no such type."""
    return {known.name: known for known in TYPES.values()}[name]


@lru_cache
def type_number(name: str) -> int:
    """The number that files have for a type."""
    return next(number for number, known in TYPES.items() if known.name == name)


def writable_type(name: str) -> str:
    """A type that is written, as the format spells it, from its name in any letter case.

    Raises:
        BadInput: there is such a type, but it is only read.
        UnknownName: there is none.
    """
    found = name.upper()
    if found in WRITABLE:
        return found
    if found in NEED_IMPORTANCE or any(found == known.name for known in TYPES.values()):
        refuse_unwritten(name)
    raise UnknownName("type of weights", name, [known.lower() for known in WRITABLE])


def refuse_unwritten(name: str) -> NoReturn:
    """Raises `BadInput` for a type, or a mix of types, that is read but not written."""
    needy = name.upper().startswith(("IQ1", "IQ2", "IQ3"))
    raise BadInput(
        f"Weights are not written as {name.upper()}.",
        why="So few bits go wrong without knowing how much each weight matters (an importance matrix)."
        if needy
        else "It is only read.",
        hint="Choose q2_k, q3_k_m or iq4_xs, or get a file that was made with an importance matrix."
        if needy
        else "Choose q8_0, or another of the presets.",
    )
