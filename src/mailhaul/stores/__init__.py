"""Connectors: one kind of mailbox each, behind the contract of `core.store`."""
