"""Sfumato beside its peers, in the same run on the same weights. No tests: nothing here passes or fails."""
