"""Training of the embedded emoji model: data, autoencoder, text-to-image Flux, evaluation and export.

Nothing here is needed to use the model; the package ``sfumato_model_emoji`` never imports it.
"""
