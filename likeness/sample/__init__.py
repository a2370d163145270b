"""Drawing pictures: the test prompts of a run and the playground alike."""
