"""Pictures of products, for people."""
