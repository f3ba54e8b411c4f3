"""Who may do what: hosts, origins, users, sessions, tokens, headers."""
