"""What is fetched from servers."""
