"""What `benchmarks/run.py` measures, a file a part, and the machinery that all of them share."""
