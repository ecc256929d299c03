"""Secrets: where they lie, by reference; and a sealed file for those that lie nowhere else."""
