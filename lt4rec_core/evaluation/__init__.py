"""Metrics with their uncertainty, and pictures of them."""
