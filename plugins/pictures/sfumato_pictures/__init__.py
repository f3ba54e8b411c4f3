"""Pictures on disk for Sfumato: reading, formats with infotext, names, sheets, archives, styles."""
