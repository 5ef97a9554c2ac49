"""What users give: associations, exposures and their headers."""
