"""Storage: the two databases, their migrations, and content-addressed blobs."""
