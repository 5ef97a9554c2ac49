"""Pages for people, each one HTML file without any other: what came of an association, and of a run."""
