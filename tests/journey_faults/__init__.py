"""Whole journeys while processes die: killed, stopped, cut off, and robbed of their engine."""
