"""The model ladder: what language models are measured to do on labelled packages."""
