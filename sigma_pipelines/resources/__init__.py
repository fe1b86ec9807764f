"""What assets are handed: the deployment that they work on."""
