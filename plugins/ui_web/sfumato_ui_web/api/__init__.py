"""The JSON API below /api/v1: see `routes` for what there is, `endpoints` for how it is declared."""
