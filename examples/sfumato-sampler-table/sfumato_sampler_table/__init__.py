"""Sampler Table: a page for Sfumato."""
