"""LoRA, LyCORIS and textual inversion for Sfumato: every key layout, merged or on the fly."""
