"""Many pictures from one request for Sfumato: X/Y/Z grids, prompt matrices, prompts from files, folders of pictures."""
