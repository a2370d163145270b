"""How the starter base model is made: the world it is shown, and its pretraining. Development only."""
