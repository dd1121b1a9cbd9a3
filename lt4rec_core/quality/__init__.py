"""What must hold before a partition is published."""
