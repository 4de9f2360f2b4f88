"""Measurements, and the material for them."""
