"""Film Grain: a stage for Sfumato."""
