"""Swatch: a model for Sfumato."""
