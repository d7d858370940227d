"""The manifest of a model: `model.yaml` beside one or more `.onnx` variants."""
