"""The public plane: what anybody may read about certificates, without asking who they are."""
