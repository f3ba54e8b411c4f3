"""The gallery: every picture made, to be searched, compared, kept and thrown away."""
