"""Further model families for Sfumato: text-to-image folders whose flow transformer diffusers knows."""
