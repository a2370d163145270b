"""What the studio remembers: one SQLite file. Pictures, LoRAs and events stay files; here is what is looked up."""
