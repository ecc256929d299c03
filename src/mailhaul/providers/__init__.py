"""Hosters' control planes: accounts, placeholders, domains, tasks. One hoster a module."""
