"""Further model families for Sfumato: any text-to-image folder whose flow-matching transformer diffusers knows."""
