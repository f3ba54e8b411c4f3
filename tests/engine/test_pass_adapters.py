"""Adapters of a prompt that another model takes over."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sfumato.adapters import AdapterUse
from sfumato.errors import CheckpointError
from sfumato_engine.adapters import PassAdapters

from .conftest import Workbench

GOOD, BAD = (AdapterUse(tag="lora", name=name, text=f"<lora:{name}>") for name in ("good", "bad"))


class Choosy:
    """A kind of adapter whose file "bad" fits no model."""

    def apply(self, model: Any, uses: Sequence[AdapterUse], context: Any) -> Any:
        if any(use.name == "bad" for use in uses):
            raise CheckpointError("'bad' was made for another family.")
        return SimpleNamespace(notes=[], names=[use.name for use in uses], put_in_force=lambda: None)

    def release(self, model: Any) -> None:
        pass

    def embeddings(self, model: Any, text: str, context: Any) -> Sequence[Any]:
        return ()


def pass_adapters(workbench: Workbench, *, skip_unfit: bool) -> PassAdapters:
    registrar = workbench.registries.adapters.registrar("tester")
    registrar.add("lora", Choosy, label="LoRA", tags=("lora",))
    registrar.commit()
    return PassAdapters(workbench.context, SimpleNamespace(), (BAD, GOOD), skip_unfit=skip_unfit)  # type: ignore[arg-type]


def test_what_does_not_fit_a_model_that_takes_over_is_left_out_and_told(workbench: Workbench) -> None:
    adapters = pass_adapters(workbench, skip_unfit=True)
    for _ in range(2):
        adapters.apply()
        assert [applied.names for applied in adapters.applied] == [["good"]]  # type: ignore[attr-defined]
        assert adapters.notes == ["<lora:bad> is left out: 'bad' was made for another family."]


def test_what_does_not_fit_the_model_that_the_prompt_is_for_is_refused(workbench: Workbench) -> None:
    with pytest.raises(CheckpointError, match="another family"):
        pass_adapters(workbench, skip_unfit=False).apply()
