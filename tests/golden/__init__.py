"""Latents of a matrix of requests on tiny models, kept: a change of any picture is seen, and meant or mended.

``python -m tests.golden`` draws them all anew and keeps them.
"""
