"""What a run is going to do, why, and what it will cost, told before any job starts."""
