"""Steps between the steps of stages 2 and 3: what is taken off exposures, or flagged, because the data ask for it."""
