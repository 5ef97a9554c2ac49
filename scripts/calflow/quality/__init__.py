"""How good the products of a run are: what jobs measure on them, and what is thought of it."""
