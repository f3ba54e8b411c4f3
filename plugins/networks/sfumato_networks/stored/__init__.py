"""Weights kept in the form that they are stored in: quantised, in a narrow type, or on another device."""
