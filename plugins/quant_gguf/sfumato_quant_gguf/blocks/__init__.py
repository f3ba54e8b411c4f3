"""GGUF's blocks as plain numbers, in torch's operators alone, on any device."""
