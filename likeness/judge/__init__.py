"""Which epoch is good: measures of losses and pictures, and what they say together."""
