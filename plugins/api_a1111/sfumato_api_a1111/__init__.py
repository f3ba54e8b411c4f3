"""The API of AUTOMATIC1111: its clients work with Sfumato as they are."""
