"""Plain numbers into GGUF's blocks, a module for each kind of type; `quantise` is the way in."""
