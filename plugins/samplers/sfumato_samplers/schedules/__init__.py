"""Noise schedules: pure functions of Python floats, one module each."""
