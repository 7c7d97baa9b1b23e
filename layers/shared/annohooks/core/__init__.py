"""What every platform needs and no platform owns."""
