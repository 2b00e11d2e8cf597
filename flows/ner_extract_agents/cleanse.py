def cleanse(completion: str, text: str) -> list[str]:
    """Split the completion at semicolons. Titles that the sentence does not hold were made up: they are dropped."""
    titles = (" ".join(part.split()).strip(" .,:!?\"'") for part in completion.split(";"))
    found = [title for title in titles if title and title.casefold() in text.casefold()]
    return list({title.casefold(): title for title in found}.values())
