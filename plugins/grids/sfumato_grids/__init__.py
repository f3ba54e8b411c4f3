"""Many pictures from one request: grids, prompt matrices, prompts from files, folders of pictures."""
