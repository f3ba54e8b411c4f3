"""Upscalers for Sfumato: Lanczos, nearest, latent ones, and every architecture that spandrel knows."""
