"""The nouns and the contracts that everything else speaks. Standard library only.

Import from the modules (`from mailhaul.core.store import Source`); nothing is re-exported.
"""
