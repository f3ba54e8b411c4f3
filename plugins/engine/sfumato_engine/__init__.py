"""The diffusion engine: from a request to saved pictures."""
