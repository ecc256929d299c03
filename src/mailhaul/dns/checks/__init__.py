"""The checks of a domain, one module a topic: each takes a `Look` and gives aspects."""
