"""Quick questions that the engine answers: about prompts, pictures and plans. Nothing here imports torch."""
