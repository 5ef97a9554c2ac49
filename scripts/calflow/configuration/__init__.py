"""The parameters: one typed section per step."""
