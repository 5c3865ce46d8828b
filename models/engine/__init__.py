"""Many replies at once on one device."""
