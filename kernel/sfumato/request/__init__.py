"""What a user asks for: one schema behind the CLI options, the Python API, the forms and the docs tables."""

from sfumato.request.defaults import RequestDefaults
from sfumato.request.generation import RANDOM_SEED, SEED_LIMIT, GenerationRequest, NoiseSource, StepNoise
from sfumato.request.grid import Axis, GridRequest, PictureFolder, PromptList, PromptMatrix
from sfumato.request.hires import HiresPass, Refiner
from sfumato.request.img2img import Img2Img, Inpaint, Outpaint, SoftInpaint
from sfumato.request.upscale import UpscaleRequest

__all__ = [
    "RANDOM_SEED",
    "SEED_LIMIT",
    "Axis",
    "GenerationRequest",
    "GridRequest",
    "HiresPass",
    "Img2Img",
    "Inpaint",
    "NoiseSource",
    "Outpaint",
    "PictureFolder",
    "PromptList",
    "PromptMatrix",
    "Refiner",
    "RequestDefaults",
    "SoftInpaint",
    "StepNoise",
    "UpscaleRequest",
]
