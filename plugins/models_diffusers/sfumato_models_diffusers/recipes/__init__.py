"""What the library diffusers knows of each family, told to the engine: one small class a family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfumato_models_diffusers.recipes.aura_flow import AuraFlow
from sfumato_models_diffusers.recipes.flux2_klein import Flux2Klein
from sfumato_models_diffusers.recipes.lumina2 import Lumina2
from sfumato_models_diffusers.recipes.qwen_image import QwenImage
from sfumato_models_diffusers.recipes.recipe import Recipe
from sfumato_models_diffusers.recipes.sana import Sana
from sfumato_models_diffusers.recipes.z_image import ZImage

__all__ = ["RECIPES", "Recipe", "recipe_for"]

RECIPES: tuple[type[Recipe], ...] = (QwenImage, ZImage, Flux2Klein, Lumina2, Sana, AuraFlow)


def recipe_for(configs: Mapping[str, Mapping[str, Any]]) -> Recipe | None:
    """The recipe of a diffusers folder with these configs; None where there is none."""
    pipeline = configs.get("", {}).get("_class_name")
    transformer = configs.get("transformer", {}).get("_class_name")
    for recipe in RECIPES:
        if (pipeline, transformer) == (recipe.pipeline_class, recipe.transformer_class):
            return recipe()
    return None
