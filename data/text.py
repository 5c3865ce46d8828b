"""Valid Unicode out of whatever a client, a file or a language model sent as text."""


def valid_text(text: str) -> str:
    r"""Join surrogate pairs and drop lone surrogates, so that the text can be encoded.

    JSON may carry half of an escaped pair (`"\ud83d"`), for instance where a client cut a string
    between its two halves. Python reads it into a `str` that no file, socket or library takes.
    Call this wherever text enters; valid text is returned as it is.

    >>> valid_text("Hi \ud83d there \ud83d\ude00")
    'Hi  there 😀'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text
