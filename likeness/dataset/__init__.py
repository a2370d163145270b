"""Pictures and captions on disk, read into examples: checked, hashed, bucketed, split and audited. No torch here."""
