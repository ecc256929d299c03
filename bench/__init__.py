"""The benchmark of docs/benchmarks.md: mailhaul against a floor, on real servers, checked exact.

`python -m bench` runs it. Nothing in here is part of the product.
"""
