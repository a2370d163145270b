from likeness.voices.words import word_error_rate, word_errors, words


def test_spelling_and_punctuation_do_not_count() -> None:
    assert words("Don’t — STOP, café!") == ["don't", "stop", "cafe"]
    assert word_errors("It's over.", "its' over") == (1, 2)


def test_errors_are_changes_omissions_and_additions() -> None:
    assert word_errors("one two three", "one two three") == (0, 3)
    assert word_errors("one two three", "one three") == (1, 3)
    assert word_errors("one two three", "one two two four") == (2, 3)
    assert word_errors("", "a b") == (2, 0)


def test_the_rate_is_over_all_words() -> None:
    assert word_error_rate([("a b c", "a b c"), ("d", "x")]) == 0.25
    assert word_error_rate([]) == 0
