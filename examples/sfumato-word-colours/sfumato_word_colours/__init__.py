"""Word Colours: a trainer for Sfumato."""
