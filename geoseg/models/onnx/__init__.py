"""Models as ONNX files: written, looked at before they are trusted, and run."""
