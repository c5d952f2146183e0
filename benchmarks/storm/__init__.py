"""The rounds of `benchmarks/faults.py`: what is done to a tiny study, and what must hold afterwards."""
