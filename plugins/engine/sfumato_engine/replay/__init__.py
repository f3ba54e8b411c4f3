"""Pictures drawn again from what they remember, and compared."""
