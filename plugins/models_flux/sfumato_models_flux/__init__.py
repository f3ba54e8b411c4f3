"""The Flux family of models: detection, loading and drawing."""
