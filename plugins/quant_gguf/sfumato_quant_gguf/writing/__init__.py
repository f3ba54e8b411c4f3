"""Writing GGUF files, from a model's name to the verified file; `quantising.prepare` is the way in."""
