"""Pictures on disk for Sfumato: reading anything, PNG, JPEG, WebP and AVIF with infotext, names, sheets, archives."""
