"""What this plugin offers: names, labels, aliases, options; one module a family."""
