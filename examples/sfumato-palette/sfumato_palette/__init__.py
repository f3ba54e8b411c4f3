"""The colours of pictures, for Sfumato."""
