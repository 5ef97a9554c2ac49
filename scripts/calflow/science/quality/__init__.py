"""How good products are, measured on them: noise against errors, depth, alignment, seams."""
