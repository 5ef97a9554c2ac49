"""What is known before any job starts: associations, headers, references, and every problem with them."""
