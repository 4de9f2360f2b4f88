"""What `make demo` shows, and the files that it shows it with."""
