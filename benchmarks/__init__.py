"""Sfumato beside its peers, in the same run on the same weights. No tests: nothing here passes or fails."""

import sys

# No peer measured here needs torchvision. Left out, it costs nothing at start-up, and one that does not fit
# the torch at hand (decision 0018) does not keep them from being imported.
sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
