"""GGUF for Sfumato: quantised checkpoints read as they are, computed with, and written"""
