"""Sensor, fusion, recorder and view nodes."""
