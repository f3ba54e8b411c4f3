"""The embedded default model: a tiny Flux-layout text-to-image model trained on openly licensed emoji."""
