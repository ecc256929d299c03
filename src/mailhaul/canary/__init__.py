"""Canary mail: whether the mail hosts take mail for the people who move, and where it comes out."""
