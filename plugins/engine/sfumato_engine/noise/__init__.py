"""Noise from each picture's own seed, so that a picture does not depend on its neighbours in a batch.

All noise is drawn on the CPU in float32 and then moved: the same seed gives the same noise on every device.
"""

from sfumato_engine.noise.image_noise import ImageNoise
from sfumato_engine.noise.settings import NoiseSettings

__all__ = ["ImageNoise", "NoiseSettings"]
