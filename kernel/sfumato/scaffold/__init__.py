"""Writes new plugin packages: complete, tested and installable, as a beginning to change."""
