"""The studio in the browser: pages, JSON API with OpenAPI, live progress."""
