"""What a run says about itself to people: pages for a browser, curves for TensorBoard."""
