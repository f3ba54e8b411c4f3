"""Sfumato beside its peers, in the same run on the same weights. Never a test: nothing here passes or fails."""
