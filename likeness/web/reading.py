"""What there is to be read aloud on the pages that record: a passage for a clone, sentences for a training."""

# About fifteen seconds, with all there is in a voice: questions of pitch, long vowels, hard and soft consonants.
PASSAGE = (
    "Yesterday I walked along the harbour before breakfast. Two fishermen were mending a net and quarrelling about the "
    "weather, and a child asked them why boats have names. Nobody had a good answer. Then the fog lifted, and all at "
    "once I could see the whole town."
)
# Four to seven seconds each; between them all sounds of English, in many places.
SENTENCES = (
    "The train to the coast leaves at half past seven, if the driver has found his shoes.",
    "Could you hold the ladder for a moment while I reach for the blue jar?",
    "She laughed, closed the umbrella, and walked straight through the puddle.",
    "Thirty-three geese flew over the church on the first Thursday of March.",
    "I would rather have soup than cake, but please don't tell the baker.",
    "The measure of a good chair is how quickly one forgets it.",
    "Why does the cellar smell of oranges when nobody has bought any?",
    "He joined the choir to please his wife, and stayed for the biscuits.",
    "A rough wooden bridge crosses the stream where the village used to end.",
    "My cousin measures the garden every year, as though it might have grown.",
    "Put the small red box beside the vase, not behind it.",
    "We heard the owl again last night, somewhere above the old boathouse.",
    "If the yeast is fresh, the dough will double in under an hour.",
    "Nobody noticed the piano was out of tune until the violin began.",
    "The youngest boy chose a yellow kite and a very long piece of string.",
    "Is this the usual road to the quarry, or did we turn too soon?",
    "Judge the weather by the sheep: they gather near the wall before a storm.",
    "Her voice was calm, though her hands were shaking under the table.",
    "They found a ring, two spoons and a broken watch in the tall grass.",
    "The whole valley was white with frost, and quiet as a library.",
    "Please write the address twice, once for me and once for the driver.",
    "What a strange thing to say on such an ordinary Tuesday!",
    "The fox crossed the yard without any hurry, as if it paid the rent.",
    "Half of the class could swim, and the other half said that they could.",
    "I've thought about it, and I think you should choose the green one.",
    "There were five thieves, according to the paper, and only four bicycles.",
    "A good joke needs a short road and a sharp corner at the end of it.",
    "The lighthouse keeper poured the tea and pointed at the map without a word.",
    "Zoe usually visits in August, when the vines behind the house are heavy.",
    "Give it a gentle push, wait, and listen for the click.",
)
