"""Models: manifests, ONNX Runtime sessions, stages."""
