"""Noise from each picture's own seed, so that a picture does not depend on its neighbours in a batch.

All noise is drawn on the CPU in float32 and then moved: the same seed gives the same noise on every device.
Only `seeds` and `settings` import no tensor library.
"""
