"""Chroma: Flux's layout, with one small network in place of the modulations of all blocks."""
