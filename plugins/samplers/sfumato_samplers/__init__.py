"""Samplers and noise schedules; `plugin` registers them, one module holds one algorithm."""
