"""Voices: recordings checked and mended, speakers cloned in seconds or trained over epochs, speech marked as made."""
