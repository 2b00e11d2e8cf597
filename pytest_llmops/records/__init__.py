"""Plain values that cross layers and processes: frozen dataclasses, no behaviour beyond their own shape."""
