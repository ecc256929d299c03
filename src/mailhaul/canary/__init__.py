"""Canary mail: marked messages and recipient probes that show where mail really goes."""
