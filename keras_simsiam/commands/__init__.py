"""What the commands do: flags into one call of the library, and what is printed. `main` finds them by their names."""
