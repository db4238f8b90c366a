"""Codecs: CAN frames to values of evse_core.types and back, one module per link."""
